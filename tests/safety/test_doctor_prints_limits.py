"""The limits that `doctor` prints are those in force, every one of them."""

import json

from cirdemo.archives import LOCAL, PUBLIC
from cirdemo.cli.limits import limits
from cirdemo.config import Settings
from cirdemo.ui import shell


def test_doctor_reads_limits_where_they_stand(monkeypatch):
    told = limits(Settings(public=True, hosts=("demo.example.org",)))
    json.dumps(told)
    assert told["archive"]["files"] == PUBLIC.entries
    assert limits(Settings(public=False))["archive"]["files"] == LOCAL.entries
    assert "demo.example.org" in told["request"]["hosts"]
    monkeypatch.setattr(shell, "QUEUED", 7)
    assert limits(Settings())["queue"]["waiting"] == 7
    assert all(value not in (None, "") for part in told.values() for value in part.values())


def test_hosts_come_from_the_environment(monkeypatch):
    monkeypatch.setenv("CIRDEMO_HOSTS", "a.example, *.b.example ,")
    assert Settings.from_env().hosts == ("a.example", "*.b.example")
