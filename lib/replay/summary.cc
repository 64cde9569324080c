#include "replay/summary.hh"

#include <fmt/format.h>

#include <algorithm>
#include <string_view>

#include "replay/json_text.hh"

namespace sluice::replay {

namespace {

// {"a":1,"b":2}, sorted by name, without zeros.
std::string object_of(std::vector<NamedCount> counts) {
    std::ranges::sort(counts);
    std::string text = "{";
    for (const NamedCount& each : counts) {
        if (each.count == 0) {
            continue;
        }
        text += text.size() > 1 ? "," : "";
        append_string(text, each.name);
        text += fmt::format(":{}", each.count);
    }
    return text + "}";
}

// [X,Y] with one element a line.
template <typename T, typename Format>
std::string list_of(const std::vector<T>& items, Format format) {
    std::string text = "[";
    for (const T& item : items) {
        text += text.size() > 1 ? ",\n  " : "\n  ";
        text += format(item);
    }
    return text + "]";
}

std::string name_text(std::string_view name) {
    std::string text;
    append_string(text, name);
    return text;
}

std::string to_object(const InterfaceTally& each) {
    return fmt::format(R"({{"name":{},"rx_packets":{},"rx_bytes":{},"tx_packets":{},"tx_bytes":{}}})",
                       name_text(each.name), each.rx_packets, each.rx_bytes, each.tx_packets, each.tx_bytes);
}

std::string to_object(const CaptureTally& each) {
    return fmt::format(R"({{"interface":{},"frames":{},"short_frames":{},"times_set_right":{}}})",
                       name_text(each.interface), each.frames, each.short_frames, each.times_set_right);
}

}  // namespace

std::string Summary::to_json() const {
    std::string text = "{\n \"first\":";
    append_time(text, first);
    text += ",\n \"last\":";
    append_time(text, last);
    text += fmt::format(
        ",\n "
        "\"packets\":{{\"received\":{},\"originated\":{},\"sent\":{},\"dropped\":{},\"consumed\":{},\"held\":"
        "{}}}",
        packets.received, packets.originated, packets.sent, packets.dropped, packets.consumed, packets.held);
    text += ",\n \"verdicts\":{";
    for (size_t i = 0; i < kFinalVerdicts; ++i) {
        text += fmt::format("{}\"{}\":{}", i > 0 ? "," : "", to_string(static_cast<FinalVerdict>(i)),
                            verdicts[i]);
    }
    text += "},\n \"reasons\":" + object_of(drops);
    text += ",\n \"interfaces\":" +
            list_of(interfaces, [](const InterfaceTally& each) { return to_object(each); });
    text += ",\n \"counters\":" + object_of(counters);
    text += ",\n \"captures\":" + list_of(captures, [](const CaptureTally& each) { return to_object(each); });
    return text + "\n}\n";
}

}  // namespace sluice::replay
