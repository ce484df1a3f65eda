"""A rule sends a chart along: as a file of the mail or message; what fails there keeps no message back."""

import pytest

from dteg.alerts.channels import AppriseChannel, Message, Picture
from dteg.charts.models import ChartSpec
from dteg.charts.service import Charts
from tests.integration.alerts.sinks import MailSink
from tests.integration.charts.sales import make_sales, make_spec

pytestmark = pytest.mark.integration
RULE = """
- name: loud
  match: {kind: [check]}
  to: [people]
  chart: by_country
"""


def test_the_picture_goes_along(desk):
    make_sales(desk.url)
    Charts.of(desk.project).save(ChartSpec.model_validate(make_spec()))
    desk.write(RULE)
    assert desk.fires().delivered == 1
    (message,) = desk.channels["people"].sent
    assert message.picture.name == "by_country.png"
    assert message.picture.png.startswith(b"\x89PNG")
    assert "PNG" not in repr(message)


def test_without_the_chart_the_message_goes_and_says_so(desk):
    desk.write(RULE.replace("by_country", "nowhere"))
    assert desk.fires().delivered == 1
    (message,) = desk.channels["people"].sent
    assert message.picture is None
    assert "the chart nowhere could not be drawn: there is no chart" in message.body


def test_a_rule_without_a_chart_draws_nothing(desk):
    desk.write(RULE.replace("  chart: by_country\n", ""))
    assert desk.fires().delivered == 1
    assert desk.channels["people"].sent[0].picture is None


def test_a_mail_carries_it_as_a_file():
    mail = MailSink()
    try:
        picture = Picture("by_country.png", b"\x89PNG\r\n\x1a\n" + bytes(100))
        url = f"mailto://ada:lovelace1@example.org:{mail.port}?smtp=127.0.0.1&mode=insecure"
        AppriseChannel(url).send(Message("title", "body", picture=picture))
        ((_, message),) = mail.mails
    finally:
        mail.close()
    (attached,) = message.iter_attachments()
    assert (attached.get_filename(), attached.get_content_type()) == ("by_country.png", "image/png")
    assert attached.get_payload(decode=True) == picture.png
