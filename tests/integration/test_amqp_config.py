"""What is wrong in fedora-messaging's own configuration is told before anything connects."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from fedora_messaging.config import LazyConfig

from consumer import amqp_config
from consumer.amqp_config import check_certificates, prepare, queue_survives
from state.errors import ConfigError


def certificate(until: datetime) -> bytes:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test")])
    builder = x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key())
    builder = builder.serial_number(1).not_valid_before(until - timedelta(days=30)).not_valid_after(until)
    return builder.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM)


def conf(monkeypatch: pytest.MonkeyPatch, folder: Path, text: str) -> LazyConfig:
    (folder / "config.toml").write_text(text)
    loaded = LazyConfig().load_config(str(folder / "config.toml"))
    monkeypatch.setattr(amqp_config, "conf", loaded)
    return loaded


def test_a_missing_certificate_names_the_command(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"tls\.certfile: .*none\.pem cannot be read.*make fedora-certs"):
        check_certificates({"certfile": str(tmp_path / "none.pem")})


def test_an_expired_certificate_is_told_with_its_date(tmp_path: Path) -> None:
    path = tmp_path / "old.pem"
    path.write_bytes(certificate(datetime(2021, 3, 4, tzinfo=UTC)))
    with pytest.raises(ConfigError, match=r"tls\.ca_cert: .*expired on 2021-03-04"):
        check_certificates({"ca_cert": str(path)})


def test_a_valid_certificate_is_fine(tmp_path: Path) -> None:
    path = tmp_path / "good.pem"
    path.write_bytes(certificate(datetime.now(UTC) + timedelta(days=1)))
    check_certificates({"ca_cert": str(path), "certfile": str(path), "keyfile": None})


def test_what_is_no_certificate_is_told(tmp_path: Path) -> None:
    (tmp_path / "text.pem").write_text("hello")
    with pytest.raises(ConfigError, match=r"tls\.ca_cert: .* holds no certificate"):
        check_certificates({"ca_cert": str(tmp_path / "text.pem")})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('[[bindings]]\nqueue = "other"\nexchange = "e"\nrouting_keys = ["#"]', r"bindings\[0\]\.queue: .*'other'"),
        ('amqp_url = "amqp://host:port"', "amqp_url: expected"),
        ("amqp_url = 5", "amqp_url: expected"),
        ('[qos]\nprefetch_count = "many"', r"qos\.prefetch_count: .*'many'"),
    ],
)
def test_a_mistake_is_told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str, says: str) -> None:
    conf(monkeypatch, tmp_path, text)
    with pytest.raises(ConfigError, match=says):
        prepare(500)


@pytest.mark.parametrize(("given", "expected"), [(10, 1_000), (5_000, 5_000), (0, 1_000)])
def test_two_batches_are_prefetched(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, given: int, expected: int) -> None:
    loaded = conf(monkeypatch, tmp_path, f"[qos]\nprefetch_count = {given}")
    assert prepare(500).host == "localhost"
    assert loaded["qos"] == {"prefetch_size": 0, "prefetch_count": expected}


@pytest.mark.parametrize(
    ("queues", "survives"),
    [
        ("", False),
        ("[queues.a]\ndurable = true\nauto_delete = false\nexclusive = false\narguments = {}", True),
        ("[queues.a]\ndurable = true\nauto_delete = true\nexclusive = false\narguments = {}", False),
        ("[queues.a]\ndurable = true\nauto_delete = false\nexclusive = true\narguments = {}", False),
    ],
)
def test_which_queue_survives(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, queues: str, survives: bool) -> None:
    conf(monkeypatch, tmp_path, queues)
    assert queue_survives() is survives
