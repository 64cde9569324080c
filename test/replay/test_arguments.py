"""Wrong arguments, broken captures and configurations: one helpful line on stderr, exit 1 or 2, no crash."""
import struct

import pytest
from capture import write_pcap
from gateway import SPACING, START, Result
from net import datagram4, from_lan


@pytest.fixture
def capture(gateway):
    frames = [(START + number * SPACING, bytes(from_lan(datagram4(id=number)))) for number in range(3)]
    return write_pcap(gateway.directory / "good.pcap", frames)


def refuse(gateway, status: int, *arguments) -> str:
    """Runs it and gives the line it complains with."""
    process = gateway.run(*arguments)
    assert process.returncode == status, (process.stdout, process.stderr)
    assert process.stderr.strip(), "it says why"
    return process.stderr


def test_no_arguments_is_wrong_usage(gateway):
    assert "-c" in refuse(gateway, 2)


@pytest.mark.parametrize("missing", ["-c", "--in", "--out"])
def test_a_missing_option_is_named(gateway, capture, missing):
    options = {"-c": gateway.write_config(), "--in": f"lan={capture}", "--out": gateway.directory / "out"}
    arguments = [part for name, value in options.items() if name != missing for part in (name, value)]
    assert missing in refuse(gateway, 2, *arguments)


@pytest.mark.parametrize("wrong, told", [
    (("--in", "lan"), "IFACE"),
    (("--in", "=x.pcap"), "="),
    (("--until", "soon"), "until"),
    (("--until", "-1"), "until"),
    (("--until", "1e99"), "until"),
    (("--no-such-option",), "--no-such-option"),
    (("stray",), "stray"),
], ids=str)
def test_wrong_usage_is_exit_2(gateway, capture, wrong, told):
    arguments = ["-c", gateway.write_config(), "--in", f"lan={capture}", "--out", gateway.directory / "out", *wrong]
    assert told in refuse(gateway, 2, *arguments)
    assert not (gateway.directory / "out").exists()


def test_help_is_no_error(gateway):
    process = gateway.run("--help")
    assert process.returncode == 0
    for option in ("--in", "--out", "--until", "--strict-neighbours"):
        assert option in process.stdout


def attempt(gateway, *inputs, out="out") -> str:
    """A replay that is refused before anything is written."""
    arguments = ["-c", gateway.write_config(), *(f"--in={each}" for each in inputs), "--out", gateway.directory / out]
    told = refuse(gateway, 1, *arguments)
    assert len(told.strip().splitlines()) == 1
    assert not (gateway.directory / "out").exists()
    return told


def test_an_unknown_interface_is_named_with_those_there_are(gateway, capture):
    told = attempt(gateway, f"uplink={capture}")
    assert "uplink" in told and all(name in told for name in ("lan", "wan", "dmz"))


def test_a_missing_capture_is_named(gateway):
    assert "missing.pcap" in attempt(gateway, "lan=missing.pcap")


def test_a_directory_is_no_capture(gateway):
    assert str(gateway.directory) in attempt(gateway, f"lan={gateway.directory}")


@pytest.mark.parametrize("data", [b"", b"\xd4\xc3\xb2", b"hello, this is a letter and no capture", bytes(100)],
                         ids=["empty", "three_bytes", "text", "zeros"])
def test_what_is_no_capture_is_refused(gateway, data):
    path = gateway.directory / "no.pcap"
    path.write_bytes(data)
    assert "no.pcap" in attempt(gateway, f"lan={path}")


@pytest.mark.parametrize("link_type, name", [(113, "SLL"), (101, "RAW"), (105, "802_11")])
def test_other_link_types_are_refused(gateway, link_type, name):
    path = write_pcap(gateway.directory / "cooked.pcap", [(START, bytes(60))], link_type)
    told = attempt(gateway, f"lan={path}")
    assert name in told and "Ethernet" in told


def test_one_bad_capture_among_good_ones_stops_it_before_the_start(gateway, capture):
    assert "missing.pcap" in attempt(gateway, f"lan={capture}", "wan=missing.pcap")


def test_results_that_cannot_be_written_are_told(gateway, capture):
    (gateway.directory / "file").write_text("in the way")
    assert "--out" in attempt(gateway, f"lan={capture}", out="file/out")


def test_a_wrong_configuration_is_located(gateway, capture):
    gateway.config["interfaces"]["lan"]["mut"] = 1500
    told = refuse(gateway, 1, "-c", gateway.write_config(), "--in", f"lan={capture}", "--out", gateway.directory / "out")
    assert "sluice.yaml:" in told and "mut" in told and "mtu" in told


def test_a_missing_configuration_is_named(gateway, capture):
    told = refuse(gateway, 1, "-c", "/no/such.yaml", "--in", f"lan={capture}", "--out", gateway.directory / "out")
    assert "/no/such.yaml" in told


@pytest.mark.parametrize("kept", [1, 15, 16, 17, 40])
def test_a_capture_that_breaks_off_is_used_up_to_there_and_told(gateway, capture, kept):
    """docs/replay.md: the frames before the break go in, all results are written, exit 1."""
    one = 16 + len(bytes(from_lan(datagram4())))
    path = gateway.directory / "broken.pcap"
    path.write_bytes(capture.read_bytes()[:24 + one + kept])
    result = gateway.replay(("lan", path), status=1)
    assert len(result.packets) == 1
    assert "broken.pcap" in result.process.stderr


def test_an_impossible_frame_length_is_told(gateway, capture):
    """A length field of four gigabytes takes no memory."""
    data = bytearray(capture.read_bytes())
    one = 16 + len(bytes(from_lan(datagram4())))
    data[24 + one + 8:24 + one + 16] = struct.pack("<II", 0xFFFFFFFF, 0xFFFFFFFF)
    path = gateway.directory / "huge.pcap"
    path.write_bytes(bytes(data))
    result = gateway.replay(("lan", path), status=1)
    assert len(result.packets) == 1
    assert "huge.pcap" in result.process.stderr


def test_results_of_an_earlier_run_are_replaced(gateway, capture):
    config, out = gateway.write_config(), gateway.directory / "out"
    empty = write_pcap(gateway.directory / "empty.pcap", [])
    for source in (capture, empty):
        process = gateway.run("-c", config, "--in", f"lan={source}", "--out", out)
        assert process.returncode == 0, process.stderr
    assert Result(out, process).lines == []


@pytest.mark.parametrize("size", [9_300, 65_000, 200_000])
def test_a_frame_longer_than_any_buffer_is_a_counted_drop(gateway, size):
    """Whatever a capture holds, it is accounted for."""
    frames = [(START, bytes(from_lan(datagram4(size=0))) + bytes(size))]
    result = gateway.replay(("lan", write_pcap(gateway.directory / "jumbo.pcap", frames)))
    result.packets[0].assert_silent("frame_too_long")
