"""A page of a browser that notes what goes wrong in it."""

from dteg.testing.browser import requests_elsewhere


class Tab:
    """A page of a browser.

    Attributes:
        page: Playwright's.
        problems: What its console and its scripts said.
    """

    def __init__(self, browser, studio, **options):
        self.context = browser.new_context(base_url=studio.url, **options)
        self.elsewhere = requests_elsewhere(self.context)
        self.page = self.context.new_page()
        self.problems = []
        self.page.on("console", self._note)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))

    def _note(self, message):
        # A form that does not fit and a page that is not there are answered so on purpose.
        told = any(status in message.text for status in ("401", "403", "404", "409", "422"))
        if message.type in ("error", "warning") and not told:
            self.problems.append(message.text)
