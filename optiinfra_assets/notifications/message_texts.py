"""The bodies of messages: JSON for webhooks, blocks for Slack, an Adaptive Card for Microsoft Teams, text for e-mail.

Data in: the content of a delivery (see `AlertOutboxRepository.claim`) and the address of our pages. Data out: bytes or a mail.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from email.message import EmailMessage
from itertools import accumulate
from typing import Any, Final

MOST_SHOWN: Final = 10
"""Occasions that a message for people shows; it says how many more there are."""
_LONGEST_TITLE: Final = 200
_LONGEST_TEXT: Final = 1500
_SLACK_LONGEST: Final = 3000
"""Characters in a block."""
_SLACK_SIGNS: Final = {"&": "&amp;", "<": "&lt;", ">": "&gt;"}

Content = Mapping[str, Any]


def webhook_body(delivery_id: str, content: Content, pages: str) -> bytes:
    """Return the JSON of a message for a program: every occasion, with exact figures."""
    occasions = [
        {
            "key": one["key"],
            "foundAt": one["found_at"],
            "title": one["title"],
            "text": one["text"],
            "figures": one["figures"],
            "dataThrough": one["data_through"],
            "isSimulated": one["is_simulated"],
            "link": pages + one["path"],
        }
        for one in content["occasions"]
    ]
    body = {
        "type": "alert",
        "deliveryId": delivery_id,
        "customer": content["customer"],
        "rule": content["rule"],
        "occasions": occasions,
    }
    return json.dumps(body, ensure_ascii=False).encode()


def slack_body(content: Content, pages: str) -> bytes:
    """Return a message in the blocks of https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks."""
    blocks = [_slack_section(one, pages) for one in _shown(content)]
    foot = " · ".join([*_more(content), _slack(_about(content))])
    blocks.append({"type": "context", "elements": [_slack_text(foot)]})
    return json.dumps({"text": _slack(subject(content)), "blocks": blocks}, ensure_ascii=False).encode()


def teams_body(content: Content, pages: str) -> bytes:
    """Return an Adaptive Card in the envelope that workflows of Microsoft Teams take, which answer 202.

    See https://learn.microsoft.com/microsoftteams/platform/webhooks-and-connectors/how-to/connectors-using: message cards of the former
    connectors are not accepted any more. A TextBlock would make a link of a service named ``[text](address)``; a TextRun takes no Markdown
    (https://adaptivecards.io/explorer/TextRun.html).
    """
    body: list[dict[str, Any]] = []
    for one in _shown(content):
        body += [
            _teams_text(_line(one["title"]), {"weight": "Bolder"}, separator=bool(body)),
            _teams_text(_body(one), {}, spacing="Small"),
        ]
    foot = " · ".join([*_more(content), _about(content)])
    body.append(_teams_text(foot, {"isSubtle": True, "size": "Small"}))
    card = {
        "$schema": "http://adaptivecards.io/schemas/adaptive-card.json",
        "type": "AdaptiveCard",
        "version": "1.4",
        "body": body,
        "actions": [{"type": "Action.OpenUrl", "title": "Open", "url": pages + content["occasions"][0]["path"]}],
    }
    attachment = {"contentType": "application/vnd.microsoft.card.adaptive", "contentUrl": None, "content": card}
    return json.dumps({"type": "message", "attachments": [attachment]}, ensure_ascii=False).encode()


def mail(delivery_id: str, content: Content, pages: str, sender: str, recipients: Sequence[str]) -> EmailMessage:
    """Return a mail. Its Message-ID is made of the delivery's id, so that mail programs show a repeated one once."""
    made = EmailMessage()
    made["Subject"] = subject(content)
    made["From"] = sender
    made["To"] = ", ".join(recipients)
    made["Message-ID"] = f"<{delivery_id}@{sender.rpartition('@')[2]}>"
    made["X-OptiInfra-Delivery"] = delivery_id
    made["Auto-Submitted"] = "auto-generated"
    parts = [f"{_line(one['title'])}\n\n{_body(one)}\n\n{pages}{one['path']}" for one in _shown(content)]
    made.set_content("\n\n\n".join([*parts, *_more(content), f"-- \n{_about(content)}"]) + "\n")
    return made


def subject(content: Content) -> str:
    """Return what a message tells, in one line."""
    occasions = content["occasions"]
    first = _line(occasions[0]["title"])
    return first if len(occasions) == 1 else f"{len(occasions)} alerts of {_line(content['rule']['name'])}: {first}"


def _shown(content: Content) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = content["occasions"][:MOST_SHOWN]
    return found


def _more(content: Content) -> list[str]:
    rest = len(content["occasions"]) - MOST_SHOWN
    return [f"and {rest} more"] if rest > 0 else []


def _body(one: Mapping[str, Any]) -> str:
    """The text of an occasion, with how far its data reach and whether they are real."""
    parts = [one["text"][:_LONGEST_TEXT]]
    if one["data_through"]:
        parts.append(f"Data are complete up to {one['data_through'][:16].replace('T', ' ')} UTC.")
    if one["is_simulated"]:
        parts.append("These figures are simulated.")
    return " ".join(parts)


def _about(content: Content) -> str:
    return f"OptiInfra, customer {content['customer']}, rule {_line(content['rule']['name'])}"


def _line(text: str) -> str:
    return " ".join(text.split())[:_LONGEST_TITLE]


def _teams_text(text: str, style: Mapping[str, Any], **block: Any) -> dict[str, Any]:
    return {"type": "RichTextBlock", "inlines": [{"type": "TextRun", "text": text, **style}], **block}


def _slack(text: str, longest: int = _SLACK_LONGEST) -> str:
    """Escape what Slack takes for its own signs, and cut between two signs: https://docs.slack.dev/messaging/formatting-message-text."""
    signs = [_SLACK_SIGNS.get(sign, sign) for sign in text]
    return "".join(signs[: sum(end <= longest for end in accumulate(map(len, signs)))])


def _slack_section(one: Mapping[str, Any], pages: str) -> dict[str, Any]:
    """Return the block of an occasion. Its text is cut and never its link: Slack refuses a message with a longer block."""
    title = f"*{_slack(_line(one['title']))}*\n"
    link = f"\n<{pages}{_slack(one['path'])}|Open>"
    text = title + _slack(_body(one), _SLACK_LONGEST - len(title) - len(link)) + link
    return {"type": "section", "text": _slack_text(text)}


def _slack_text(text: str) -> dict[str, Any]:
    """Return a text whose addresses and names of channels Slack makes no links of: a service may be called as one."""
    return {"type": "mrkdwn", "text": text, "verbatim": True}
