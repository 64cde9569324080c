"""A case: rules, and frames that arrive at a box which has them. Kept as JSON in cases/, as small as its point allows.

    {"about": "what it shows", "rules": {...}, "packets": [{"in": "lan", "frame": "0200...", "note": "..."}]}

`rules` are sections of a Sluice configuration (conntrack, sets, raw, mangle, filter, chains); nft.py says the same to the
kernel. Without rules (null) the box is a router that tracks nothing. A packet may `wait` seconds before it comes. `note` is for the reader.
"""
import dataclasses
import json
import pathlib


@dataclasses.dataclass(frozen=True)
class Packet:
    interface: str
    frame: bytes
    note: str = ""
    wait: float = 0.0


@dataclasses.dataclass(frozen=True)
class Case:
    rules: dict | None
    packets: list[Packet]
    about: str = ""

    def config(self) -> dict:
        """The rules with the profile that agrees with the kernel."""
        if self.rules is None:
            return {}
        return {**self.rules, "conntrack": {"profile": "linux", **self.rules.get("conntrack", {})}}

    def with_packets(self, packets: list[Packet]) -> "Case":
        return dataclasses.replace(self, packets=packets)

    def with_rules(self, rules: dict | None) -> "Case":
        return dataclasses.replace(self, rules=rules)

    def save(self, path: pathlib.Path) -> pathlib.Path:
        packets = []
        for packet in self.packets:
            entry = {"in": packet.interface, "frame": packet.frame.hex()}
            if packet.wait:
                entry["wait"] = packet.wait
            if packet.note:
                entry["note"] = packet.note
            packets.append("  " + json.dumps(entry))
        rules = json.dumps(self.rules, indent=1).replace("\n", "\n ")
        path.write_text(f'{{\n "about": {json.dumps(self.about)},\n "rules": {rules},\n "packets": [\n'
                        + ",\n".join(packets) + "\n ]\n}\n")
        return path

    @classmethod
    def load(cls, path: pathlib.Path) -> "Case":
        value = json.loads(path.read_text())
        packets = [Packet(each["in"], bytes.fromhex(each["frame"]), each.get("note", ""), each.get("wait", 0.0))
                   for each in value["packets"]]
        return cls(value["rules"], packets, value["about"])
