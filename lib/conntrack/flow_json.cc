#include "conntrack/flow_json.hh"

#include <boost/json.hpp>

#include "conntrack/flow_filter.hh"

namespace sluice::conntrack {
namespace {

namespace json = boost::json;

json::value word_or_null(std::string_view word) {
    return word.empty() ? json::value() : json::value(word);
}

template <typename Key>
json::value named(const std::function<std::string(Key)>& name, Key key) {
    return name ? word_or_null(name(key)) : json::value();
}

json::object tuple_json(const Tuple& tuple, uint64_t packets, uint64_t bytes) {
    json::object result{{"src", tuple.source().to_string()}, {"dst", tuple.destination().to_string()}};
    if (tuple.is_icmp()) {
        result["type"] = tuple.icmp_type();
        result["code"] = tuple.icmp_code();
        result["id"] = tuple.icmp_id();
    } else if (tuple.protocol() == wire::IpProtocol::gre) {
        result["srckey"] = tuple.sport;
        result["dstkey"] = tuple.dport;
    } else if (tuple.sport != 0 || tuple.dport != 0) {
        result["sport"] = tuple.sport;
        result["dport"] = tuple.dport;
    }
    result["packets"] = packets;
    result["bytes"] = bytes;
    return result;
}

std::string_view name_of(EventKind kind) {
    switch (kind) {
        case EventKind::new_:
            return "new";
        case EventKind::update:
            return "update";
        case EventKind::destroy:
            break;
    }
    return "destroy";
}

std::string_view name_of(Helper helper) {
    switch (helper) {
        case Helper::ftp:
            return "ftp";
        case Helper::tftp:
            return "tftp";
        case Helper::none:
            break;
    }
    return {};
}

}  // namespace

json::object flow_json(const FlowRecord& flow, size_t worker, const FlowNames& names) {
    json::array status;
    for_each_status(flow.status, [&](std::string_view name) { status.emplace_back(name); });
    json::object result{{"family", to_string(flow.original.family())},
                        {"proto", protocol_name(flow.original.protocol())},
                        {"state", word_or_null(state_name(flow))},
                        {"timeout", seconds(flow.timeout)},
                        {"status", std::move(status)},
                        {"original", tuple_json(flow.original, flow.packets[0], flow.bytes[0])},
                        {"reply", tuple_json(flow.reply, flow.packets[1], flow.bytes[1])},
                        {"mark", flow.mark},
                        {"worker", worker},
                        {"rule", named(names.rule, flow.rule)},
                        {"id", flow.id},
                        {"in", named(names.interface, flow.in)},
                        {"master", flow.master == 0 ? json::value() : json::value(flow.master)},
                        {"helper", word_or_null(name_of(flow.helper))}};
    return result;
}

json::object event_json(const FlowEvent& event, size_t worker, const FlowNames& names) {
    json::object result{{"event", name_of(event.kind)}};
    for (auto& member : flow_json(event.flow, worker, names))
        result.insert(member);
    return result;
}

}  // namespace sluice::conntrack
