"""What web apps share: limits, headers and log around each request, errors as answers, who may, pages and forms.

Only apps import this package, and it alone in the library imports a web framework. The looks of pages, which need none,
are in `dteg.webkit`.
"""
