"""Vendors who sign with their own SDKs what they send us, and what of it lies in the inbox."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ET
from typing import Any
from urllib.parse import urlencode

from aiohttp import ClientResponse
from standardwebhooks.webhooks import Webhook
from twilio.request_validator import RequestValidator

from recorder.events import Event, decode
from recorder.ports import Service
from storage.inbox import Inbox, ref
from tests.api.conftest import Client
from tests.conftest import STANDARD_SECRET, TWILIO_SID, TWILIO_TOKEN, MovingClock

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
CALL = "CA" + "1" * 32
RECORDING = "RE" + "2" * 32
LINE, AGENT = "+4570123456", "+4570000000"


class Twilio:
    """A platform that signs with its own SDK what it sends to the service's public address."""

    def __init__(self, client: Client, service: Service) -> None:
        self.client, self.public_url = client, service.settings.http.public_url

    async def post(self, path: str, token: str = TWILIO_TOKEN, **fields: str) -> ClientResponse:
        whole = {"AccountSid": TWILIO_SID, "CallSid": CALL, "From": "+4520123456", "To": LINE, "Direction": "inbound"}
        whole |= fields
        path = path.removeprefix(self.public_url)
        if not path.startswith("/"):
            path = f"/webhooks/twilio/{path}"
        signature = RequestValidator(token).compute_signature(self.public_url + path, whole)
        response = await self.client.post(
            path, data=urlencode(whole).encode(), headers=FORM | {"X-Twilio-Signature": signature}
        )
        await response.read()
        return response

    async def twiml(self, path: str, **fields: str) -> ET.Element:
        response = await self.post(path, **fields)
        assert (response.status, response.content_type) == (200, "application/xml")
        return ET.fromstring(await response.text())


class Exchange:
    """Any exchange, signing with the reference library."""

    def __init__(self, client: Client, clock: MovingClock) -> None:
        self.client, self.clock = client, clock

    async def post(self, kind: str, message_id: str = "msg_1", **data: Any) -> ClientResponse:
        timestamp = self.clock().strftime("%Y-%m-%dT%H:%M:%SZ")
        return await self.send(
            json.dumps({"type": kind, "timestamp": timestamp, "data": {"call_id": "pbx-1", **data}}), message_id
        )

    async def send(self, body: str, message_id: str = "msg_1", **headers: str) -> ClientResponse:
        now = self.clock()
        signed = {
            "webhook-id": message_id,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(STANDARD_SECRET).sign(message_id, now, body),
        }
        signed |= {name.replace("_", "-"): value for name, value in headers.items()}
        response = await self.client.post("/webhooks/events", data=body.encode(), headers=signed)
        await response.read()
        return response


def accepted(service: Service, platform: str = "twilio", call_id: str = CALL) -> list[Event]:
    """The events of a call lying in the inbox, not yet applied."""
    with service.database.read() as connection:
        items = Inbox.pending(connection, ref(service.keyring, platform, call_id))
    return [decode(service.inbox.open_body(item, service.clock())) for item in items]
