"""Three charging stations made of the public Python package `ocpp`: one each for OCPP 1.6, 2.0.1 and 2.1.

Usage: stations.py ws://HOST:PORT/ocpp

Each boots, authorizes a token and charges 7.5 kWh. Every answer is checked against the package's own JSON schemas (by `call`)
and by the assertions below. Prints one JSON object per station: its identity, its transaction and its messages.
"""

import asyncio
import json
import sys
from datetime import datetime, timedelta, timezone

import websockets
from ocpp import v16, v201, v21
from ocpp.v16 import call as call16
from ocpp.v201 import call as call201
from ocpp.v21 import call as call21

NOW = datetime.now(timezone.utc).replace(microsecond=0)
START_WH, STOP_WH = 20_000, 27_500


def at(minutes):
    """So many minutes after the start, an hour ago."""
    return (NOW - timedelta(hours=1) + timedelta(minutes=minutes)).isoformat().replace("+00:00", "Z")


def near_now(text):
    assert text.endswith("Z"), text
    assert abs(datetime.fromisoformat(text.replace("Z", "+00:00")) - datetime.now(timezone.utc)) < timedelta(minutes=1), text


class Recorder:
    """Calls, and keeps the message ids."""

    def __init__(self, station):
        self.station, self.ids, self.actions = station, [], []

    async def call(self, message):
        message_id = f"{self.station.id}-{len(self.ids)}"
        # A CALLERROR is raised, a payload that violates the schema too.
        answer = await self.station.call(message, suppress=False, unique_id=message_id)
        assert answer is not None, message
        self.ids.append(message_id)
        self.actions.append(type(message).__name__)
        return answer


async def charge16(recorder):
    boot = await recorder.call(call16.BootNotification(charge_point_model="Py16", charge_point_vendor="mobilityhouse"))
    assert boot.status == "Accepted" and boot.interval > 0, boot
    near_now(boot.current_time)
    near_now((await recorder.call(call16.Heartbeat())).current_time)
    for state in ("Available", "Preparing"):
        await recorder.call(call16.StatusNotification(connector_id=1, error_code="NoError", status=state, timestamp=at(-1)))
    info = (await recorder.call(call16.Authorize(id_tag="PYTHON16"))).id_tag_info
    assert info["status"] == "Accepted", info
    start = await recorder.call(
        call16.StartTransaction(connector_id=1, id_tag="PYTHON16", meter_start=START_WH, timestamp=at(0), reservation_id=None)
    )
    assert start.id_tag_info["status"] == "Accepted" and start.transaction_id > 0, start
    await recorder.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Charging", timestamp=at(0)))
    for minutes, register in ((15, 22_000), (30, 24_500)):
        sample = {"value": str(register), "context": "Sample.Periodic", "measurand": "Energy.Active.Import.Register", "unit": "Wh"}
        meter = [{"timestamp": at(minutes), "sampled_value": [sample]}]
        await recorder.call(call16.MeterValues(connector_id=1, transaction_id=start.transaction_id, meter_value=meter))
    stop = await recorder.call(
        call16.StopTransaction(
            meter_stop=STOP_WH, timestamp=at(45), transaction_id=start.transaction_id, id_tag="PYTHON16", reason="Local"
        )
    )
    assert stop.id_tag_info["status"] == "Accepted", stop
    await recorder.call(call16.StatusNotification(connector_id=1, error_code="NoError", status="Available", timestamp=at(46)))
    return str(start.transaction_id)


async def charge2(recorder, call):
    """2.0.1 and 2.1 say the same; `call` is the version's module."""
    boot = await recorder.call(call.BootNotification(charging_station={"model": "Py2", "vendor_name": "mobilityhouse"}, reason="PowerUp"))
    assert boot.status == "Accepted" and boot.interval > 0, boot
    near_now(boot.current_time)
    near_now((await recorder.call(call.Heartbeat())).current_time)
    await recorder.call(call.StatusNotification(timestamp=at(-1), connector_status="Occupied", evse_id=1, connector_id=1))
    token = {"id_token": "PYTHON2", "type": "ISO14443"}
    info = (await recorder.call(call.Authorize(id_token=token))).id_token_info
    assert info["status"] == "Accepted", info
    tx = f"tx-{recorder.station.id}"

    async def event(kind, trigger, seq, minutes, register, context, info=None, **more):
        meter = [{"timestamp": at(minutes), "sampled_value": [{"value": register, "context": context}]}]
        return await recorder.call(
            call.TransactionEvent(
                event_type=kind,
                timestamp=at(minutes),
                trigger_reason=trigger,
                seq_no=seq,
                transaction_info={"transaction_id": tx, **(info or {})},
                meter_value=meter,
                **more,
            )
        )

    state = {"charging_state": "Charging"}
    started = await event(
        "Started", "Authorized", 0, 0, START_WH, "Transaction.Begin", state, id_token=token, evse={"id": 1, "connector_id": 1}
    )
    assert started.id_token_info["status"] == "Accepted", started
    for seq, (minutes, register) in enumerate(((15, 22_000), (30, 24_500)), start=1):
        updated = await event("Updated", "MeterValuePeriodic", seq, minutes, register, "Sample.Periodic")
        assert updated.id_token_info is None, updated
    ended = await event(
        "Ended", "StopAuthorized", 3, 45, STOP_WH, "Transaction.End", {"stopped_reason": "Local"}, id_token=token
    )
    assert ended.id_token_info["status"] == "Accepted", ended
    await recorder.call(call.StatusNotification(timestamp=at(46), connector_status="Available", evse_id=1, connector_id=1))
    return tx


async def station(url, version, station_class, charge):
    name = f"PY-{version}"
    async with websockets.connect(f"{url}/{name}", subprotocols=[version]) as socket:
        assert socket.subprotocol == version, socket.subprotocol
        recorder = Recorder(station_class(name, socket))
        listening = asyncio.create_task(recorder.station.start())
        tx = await charge(recorder)
        listening.cancel()
        print(json.dumps({"station": name, "tx": tx, "ids": recorder.ids, "actions": recorder.actions}), flush=True)


async def main(url):
    await asyncio.gather(
        station(url, "ocpp1.6", v16.ChargePoint, charge16),
        station(url, "ocpp2.0.1", v201.ChargePoint, lambda recorder: charge2(recorder, call201)),
        station(url, "ocpp2.1", v21.ChargePoint, lambda recorder: charge2(recorder, call21)),
    )


asyncio.run(main(sys.argv[1]))
