"""How messages leave: mail by SMTP under TLS, SMS and calls by Twilio or a gateway, and for trying out, as files.

Handles addresses, tokens and codes: nothing of a message is ever logged or repeated in an error. What a courier
raises says whether to try again: `DeliveryError` (it was not taken), `DeliveryUnknownError` (nobody knows),
`DeliveryRefusedError` (it never will be).
"""

from __future__ import annotations

from pathlib import Path
from urllib.parse import unquote, urlsplit

from recorder import notices
from recorder.couriers.folders import FolderMailer, FolderTexter
from recorder.couriers.gateway import GatewayTexter
from recorder.couriers.smtp import SmtpMailer
from recorder.couriers.twilio import TwilioCaller, TwilioTexter
from recorder.errors import ConfigurationError, DeliveryRefusedError
from recorder.ports import Caller, Mailer, Texter
from recorder.settings import Settings, is_confidential

__all__ = ["caller_for", "mailer_for", "texter_for"]


def mailer_for(settings: Settings) -> Mailer:
    parts = urlsplit(settings.mail_url)
    if parts.scheme == "file":
        return FolderMailer(Path(unquote(parts.path)))
    if parts.scheme not in {"smtp", "smtps"} or not parts.hostname:
        raise ConfigurationError("RECORDER_MAIL__URL must be smtp://, smtps:// or file:///")
    return SmtpMailer(settings.mail_url, sender=_sender(settings))


def _sender(settings: Settings) -> str:
    """The envelope's sender, in a form that a relay takes.

    Raises `ConfigurationError` where any address of ours is malformed: every mail would fail because of it, and each
    failure would be taken for a wrong address of the recipient's.
    """
    mail, brands = settings.mail, settings.brands.values()
    named = [
        mail.bounces_to,
        mail.sender,
        settings.organisation.dpo_email,
        *(one.get("dpo_email", "") for one in brands),
    ]
    try:
        senders = [notices.address(one) for one in named if one]
    except DeliveryRefusedError:
        senders = []
    if not senders or not all(one.isascii() for one in senders):
        raise ConfigurationError("RECORDER_MAIL__BOUNCES_TO, __SENDER or a DPO's: not an address to send mail from")
    return senders[0]


def texter_for(settings: Settings) -> Texter:
    parts = urlsplit(settings.sms_url)
    if parts.scheme == "file":
        return FolderTexter(Path(unquote(parts.path)))
    if parts.scheme == "twilio" and parts.netloc:
        return TwilioTexter(settings.platforms.twilio, sender=unquote(parts.netloc))
    if not parts.hostname or not is_confidential(settings.sms_url):
        raise ConfigurationError("RECORDER_SMS__URL must be twilio://, https:// or file:///")
    return GatewayTexter(settings.sms_url)


def caller_for(settings: Settings) -> Caller | None:
    """Who rings to read a code aloud; None where no number is set to ring from."""
    if not settings.sms.call_from:
        return None
    return TwilioCaller(settings.platforms.twilio, number=settings.sms.call_from)
