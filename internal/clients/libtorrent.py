"""Drives one libtorrent session with one torrent, for the Go package clients.

Started with one argument, a JSON object:
  addr, port   where to listen, and from where to connect
  torrent      path of the torrent file
  save         folder of the payload
  seed         the payload is there
  magnet       a link instead of the torrent file; may be empty
  dht, pex, lsd, nodes   how it may find peers, and where the DHT begins
  settings     more settings of the session (name -> value)

Then one JSON command a line on stdin, one JSON answer a line on stdout:
  {"cmd": "ready"}              answers when files are checked and the port is open
  {"cmd": "dial", "ip":, "port":}
  {"cmd": "status"}
  {"cmd": "done"}               answers when everything is there
Between commands it sleeps, so that it costs the measured process nothing.
"""
import json
import os
import sys
import time

import libtorrent as lt

cfg = json.loads(sys.argv[1])
settings = {
    "listen_interfaces": ("[%s]:%d" if ":" in cfg["addr"] else "%s:%d") % (cfg["addr"], cfg["port"]),
    "outgoing_interfaces": cfg["addr"],
    "alert_mask": lt.alert.category_t.error_notification
    | lt.alert.category_t.status_notification
    | lt.alert.category_t.storage_notification
    | lt.alert.category_t.connect_notification,
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    # 2 is pe_disabled
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "allow_multiple_connections_per_ip": True,
    # nothing here should wait for a slot or a timer
    "unchoke_slots_limit": -1,
    "connections_limit": 1000,
    "aio_threads": 2,
    "hashing_threads": 1,
    "send_buffer_watermark": 3 << 20,
    "send_buffer_low_watermark": 1 << 20,
    "send_buffer_watermark_factor": 150,
    "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000,
    "request_queue_time": 3,
    "max_queued_disk_bytes": 64 << 20,
}
settings["enable_dht"] = bool(cfg.get("dht"))
settings["enable_lsd"] = bool(cfg.get("lsd"))
settings["dht_bootstrap_nodes"] = cfg.get("nodes") or ""
# who asks once a quarter of an hour need not be waited for
settings["dht_announce_interval"] = 10
settings["local_service_announce_interval"] = 5
settings["dht_ignore_dark_internet"] = False
settings.update(cfg.get("settings") or {})
ses = lt.session(settings)

if cfg.get("magnet"):
    atp = lt.parse_magnet_uri(cfg["magnet"])
else:
    atp = lt.add_torrent_params()
    atp.ti = lt.torrent_info(cfg["torrent"])
atp.save_path = cfg["save"]
atp.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
for name in ("dht", "pex", "lsd"):
    if not cfg.get(name):
        atp.flags |= getattr(lt.torrent_flags, "disable_" + name)
handle = ses.add_torrent(atp)

UTP_SOCKET = 1 << 17  # peer_info.utp_socket, which Python was not given

checking = (
    lt.torrent_status.checking_files,
    lt.torrent_status.checking_resume_data,
    lt.torrent_status.queued_for_checking,
)
seen = {"bans": 0, "failed": 0, "error": "", "listens": False, "flushed": False, "ways": set()}


def drain():
    """Takes note of what happened since the last call."""
    for a in ses.pop_alerts():
        name = type(a).__name__
        if name == "peer_ban_alert":
            seen["bans"] += 1
        elif name == "hash_failed_alert":
            seen["failed"] += 1
        elif name == "listen_succeeded_alert":
            seen["listens"] = True
        elif name == "cache_flushed_alert":
            seen["flushed"] = True
        elif name in ("listen_failed_alert", "torrent_error_alert", "file_error_alert"):
            seen["error"] = a.message()
        elif name in ("peer_disconnected_alert", "peer_error_alert"):
            print(a.message(), file=sys.stderr, flush=True)  # for the log of a test


def wait_for(condition):
    while not condition():
        if seen["error"]:
            break
        ses.wait_for_alert(20)
        drain()


def ready():
    return seen["listens"] and handle.status().state not in checking


def done():
    return handle.status().is_seeding


def look():
    """Takes note of how peers are connected."""
    for p in handle.get_peer_info():
        if p.flags & (lt.peer_info.connecting | lt.peer_info.handshake):
            continue
        way = "utp" if p.flags & UTP_SOCKET else "tcp"
        if p.flags & lt.peer_info.rc4_encrypted:
            way += " rc4"
        elif p.flags & lt.peer_info.plaintext_encrypted:
            way += " plaintext"
        seen["ways"].add(way)


def answer():
    drain()
    look()
    s = handle.status()
    return {
        "done": s.is_seeding,
        "have": s.total_done,
        "down": s.total_payload_download,
        "up": s.total_payload_upload,
        "bans": seen["bans"],
        "failed": seen["failed"],
        "error": seen["error"],
        "peers": s.num_peers,
        "ways": sorted(seen["ways"]),
        "at": time.monotonic(),
    }


for line in sys.stdin:
    req = json.loads(line)
    if req["cmd"] == "ready":
        wait_for(ready)
    elif req["cmd"] == "done":
        wait_for(done)
    elif req["cmd"] == "dial":
        handle.connect_peer((req["ip"], req["port"]))
    print(json.dumps(answer()), flush=True)

# Stdin has ended: what is complete need not be written yet.
handle.flush_cache()
until = time.monotonic() + 5
while time.monotonic() < until and not seen["flushed"]:
    ses.wait_for_alert(20)
    drain()
os._exit(0)
