#include "nat/verbs.hh"

#include <boost/json.hpp>
#include <chrono>
#include <cmath>
#include <optional>
#include <string>

#include "base/wall_time.hh"
#include "conntrack/flow_filter.hh"
#include "nat/config.hh"
#include "nat/port_search.hh"

namespace sluice::nat {
namespace {

namespace json = boost::json;
using Access = std::shared_ptr<const NatAccess>;

// Seconds since 1970 at the time of the packet path, by the clock on the wall as it goes now.
class WallClock {
  public:
    explicit WallClock(Instant now)
        : now_(now),
          wall_(std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count()) {}
    [[nodiscard]] double at(Instant when) const { return wall_ - seconds(now_ - when); }
    [[nodiscard]] Instant at(double wall) const {
        return now_ + std::chrono::duration_cast<Duration>(std::chrono::duration<double>(wall - wall_));
    }
    [[nodiscard]] Instant now() const { return now_; }

  private:
    Instant now_;
    double wall_;
};

json::object endpoint_json(const Endpoint& endpoint, wire::IpProtocol protocol) {
    json::object result{{"address", endpoint.address.to_string()}};
    if (protocol == wire::IpProtocol::icmp || protocol == wire::IpProtocol::icmpv6)
        result["id"] = endpoint.port;
    else if (has_port(protocol))
        result["port"] = endpoint.port;
    return result;
}

// What the mapping depends on, if it does.
json::value remote_json(const Mapping& mapping) {
    if (mapping.overlaps || mapping.remote.address.is_unspecified())
        return nullptr;
    json::object result{{"address", mapping.remote.address.to_string()}};
    if (mapping.remote.port != 0)
        result["port"] = mapping.remote.port;
    return result;
}

json::object mapping_json(const Mapping& mapping, size_t worker, const NatAccess& access,
                          const WallClock& clock) {
    const std::string out = access.interface ? access.interface(mapping.out) : std::string();
    return {{"proto", conntrack::protocol_name(mapping.protocol)},
            {"inside", endpoint_json(mapping.inside, mapping.protocol)},
            {"external", endpoint_json(mapping.external, mapping.protocol)},
            {"remote", remote_json(mapping)},
            {"interface", out.empty() ? json::value() : json::value(out)},
            {"flows", mapping.flows},
            {"filtering", config::name_of(mapping.filtering)},
            {"hairpin", mapping.hairpin},
            {"overlap", mapping.overlaps},
            {"began", clock.at(mapping.began)},
            {"age", seconds(clock.now() - mapping.began)},
            {"worker", worker}};
}

json::array ports_json(const NatUse& use) {
    json::array result;
    for (const PortUse& one : use.ports)
        result.push_back(json::object{{"address", one.address.to_string()},
                                      {"proto", conntrack::protocol_name(one.protocol)},
                                      {"in_use", one.in_use},
                                      {"held_down", one.held_down},
                                      {"free", one.free()},
                                      {"limit", one.limit},
                                      {"share", one.share()},
                                      {"refused", one.refused},
                                      {"overlap", one.overlap}});
    return result;
}

json::array hosts_json(const NatUse& use) {
    json::array result;
    for (const InsideHost& one : use.hosts)
        result.push_back(json::object{{"address", one.address.to_string()},
                                      {"external", one.paired.to_string()},
                                      {"mappings", one.mappings}});
    return result;
}

json::object who_json(const WhoRecord& record, size_t worker, const WallClock& clock) {
    return {{"proto", conntrack::protocol_name(record.protocol)},
            {"external", endpoint_json(record.external, record.protocol)},
            {"inside", endpoint_json(record.inside, record.protocol)},
            {"began", clock.at(record.began)},
            {"ended", record.ended ? json::value(clock.at(*record.ended)) : json::value()},
            {"worker", worker}};
}

// The items that ?limit= and ?offset= choose.
class Page {
  public:
    static Expected<Page> of(const admin::Request& request) {
        const auto limit = request.query_number("limit", UINT64_MAX / 2, UINT64_MAX / 2);
        const auto offset = request.query_number("offset", 0, UINT64_MAX / 2);
        if (!limit || !offset)
            return std::unexpected((limit ? offset : limit).error());
        return Page(*limit, *offset);
    }
    // One more item: is it to be shown, and if so as the first?
    bool shows() {
        const uint64_t place = seen_++;
        return place >= offset_ && place - offset_ < limit_;
    }
    [[nodiscard]] bool is_first() const { return seen_ == offset_ + 1; }
    [[nodiscard]] uint64_t total() const { return seen_; }

  private:
    Page(uint64_t limit, uint64_t offset) : limit_(limit), offset_(offset) {}
    uint64_t limit_;
    uint64_t offset_;
    uint64_t seen_ = 0;
};

// {"items": [...], "total": N ...} in pieces; `item` makes what a job found to JSON.
template <typename Job, typename Item>
class Listing {
  public:
    Listing(Access access, const Page& page, typename NatWalk<Job>::Make make, Item item)
        : access_(std::move(access)), page_(page), walk_(*access_, std::move(make)), item_(std::move(item)) {}

    // A piece, which may be empty while a worker is at it.
    std::string next() {
        std::string piece = begun_ ? "" : "{\"items\":[";
        begun_ = true;
        if (Job* job = walk_.poll()) {
            const WallClock clock(access_->now());
            for (const auto& found : job->found()) {
                if (!page_.shows())
                    continue;
                piece += page_.is_first() ? "" : ",";
                piece += json::serialize(item_(found, walk_.worker(), *access_, clock));
            }
            job->found().clear();
            walk_.go_on();
        }
        if (walk_.finished())
            piece += "],\"total\":" + std::to_string(page_.total());
        return piece;
    }
    [[nodiscard]] bool finished() const { return walk_.finished(); }

  private:
    Access access_;
    Page page_;
    NatWalk<Job> walk_;
    Item item_;
    bool begun_ = false;
};

// Mappings, and then the ports.
class MappingsAnswer {
  public:
    MappingsAnswer(const Access& access, const Page& page, const MappingFilter& filter)
        : access_(access),
          mappings_(access, page, [filter] { return std::make_shared<MappingsJob>(filter); }, mapping_json) {}

    std::optional<std::string> next() {
        if (ended_)
            return std::nullopt;
        if (!use_) {
            std::string piece = mappings_.next();
            if (mappings_.finished())
                use_.emplace(*access_);
            return piece;
        }
        if (!use_->advance())
            return std::string();
        ended_ = true;
        return ",\"ports\":" + json::serialize(ports_json(use_->use())) + "}\n";
    }

  private:
    Access access_;
    Listing<MappingsJob, decltype(&mapping_json)> mappings_;
    std::optional<UseWalk> use_;
    bool ended_ = false;
};

Expected<std::optional<wire::IpProtocol>> protocol_of(const admin::Request& request) {
    const auto name = request.query_value("proto");
    if (!name)
        return std::nullopt;
    conntrack::FlowFilter filter;
    if (const auto read = filter.set("proto", *name); !read)
        return std::unexpected(read.error());
    return filter.protocol;
}

Expected<std::optional<uint16_t>> port_of(const admin::Request& request) {
    if (!request.query_value("port"))
        return std::nullopt;
    const auto port = request.query_number("port", 0, 65535);
    if (!port)
        return std::unexpected(port.error());
    return static_cast<uint16_t>(*port);
}

Expected<MappingFilter> filter_of(const admin::Request& request) {
    MappingFilter filter;
    if (const auto text = request.query_value("address")) {
        const auto address = IpPrefix::parse(*text);
        if (!address)
            return std::unexpected(address.error());
        filter.address = *address;
    }
    const auto port = port_of(request);
    if (!port)
        return std::unexpected(port.error());
    filter.port = *port;
    const auto protocol = protocol_of(request);
    if (!protocol)
        return std::unexpected(protocol.error());
    filter.protocol = *protocol;
    return filter;
}

admin::Response mappings(const Access& access, const admin::Request& request) {
    if (const auto known = request.only({"address", "port", "proto", "limit", "offset"}); !known)
        return admin::Response::error(400, known.error(), request.path);
    const auto page = Page::of(request);
    if (!page)
        return admin::Response::error(400, page.error(), request.path);
    const auto filter = filter_of(request);
    if (!filter)
        return admin::Response::error(400, filter.error(), request.path);
    auto answer = std::make_shared<MappingsAnswer>(access, *page, *filter);
    return admin::Response::stream(admin::kJson, [answer] { return answer->next(); });
}

admin::Response ports(const Access& access, const admin::Request& request) {
    if (const auto known = request.only({}); !known)
        return admin::Response::error(400, known.error(), request.path);
    auto walk = std::make_shared<UseWalk>(*access);
    auto ended = std::make_shared<bool>(false);
    return admin::Response::stream(admin::kJson, [access, walk, ended]() -> std::optional<std::string> {
        if (*ended)
            return std::nullopt;
        if (!walk->advance())
            return std::string();
        *ended = true;
        const NatUse& use = walk->use();
        json::array items = ports_json(use);
        const size_t total = items.size();
        return json::serialize(json::object{{"items", std::move(items)},
                                            {"total", total},
                                            {"hosts", hosts_json(use)},
                                            {"mappings", json::object{{"count", use.mappings},
                                                                      {"max", use.max},
                                                                      {"made", use.made},
                                                                      {"ended", use.ended}}}}) +
               "\n";
    });
}

Expected<WhoQuestion> question_of(const NatAccess& access, const admin::Request& request) {
    WhoQuestion question;
    const auto address = request.query_value("address");
    const auto protocol = protocol_of(request);
    const auto port = port_of(request);
    if (!protocol)
        return std::unexpected(protocol.error());
    if (!port)
        return std::unexpected(port.error());
    if (!address || !*protocol)
        return fail("who has which endpoint?", "give ?address=, proto= and, where there are ports, port=");
    question.protocol = **protocol;
    const auto read = IpAddress::parse(*address);
    if (!read)
        return std::unexpected(read.error());
    if (!*port && has_port(question.protocol))
        return fail("which port?", "give ?port= (the identifier for ICMP)");
    question.external = {*read, port->value_or(0)};
    if (const auto text = request.query_value("at")) {
        const auto at = parse_wall_time(*text);
        if (!at)
            return std::unexpected(at.error());
        question.at = WallClock(access.now()).at(*at);
    }
    return question;
}

admin::Response who(const Access& access, const admin::Request& request) {
    if (const auto known = request.only({"address", "port", "proto", "at", "limit", "offset"}); !known)
        return admin::Response::error(400, known.error(), request.path);
    const auto page = Page::of(request);
    if (!page)
        return admin::Response::error(400, page.error(), request.path);
    const auto question = question_of(*access, request);
    if (!question)
        return admin::Response::error(400, question.error(), request.path);
    const auto item = [](const WhoRecord& record, size_t worker, const NatAccess&, const WallClock& clock) {
        return who_json(record, worker, clock);
    };
    auto listing = std::make_shared<Listing<WhoJob, decltype(item)>>(
        access, *page, [asked = *question] { return std::make_shared<WhoJob>(asked); }, item);
    auto ended = std::make_shared<bool>(false);
    return admin::Response::stream(admin::kJson, [listing, ended]() -> std::optional<std::string> {
        if (*ended)
            return std::nullopt;
        std::string piece = listing->next();
        if (listing->finished()) {
            piece += "}\n";
            *ended = true;
        }
        return piece;
    });
}

}  // namespace

void add_verbs(admin::Verbs& verbs, NatAccess access) {
    const auto shared = std::make_shared<const NatAccess>(std::move(access));
    verbs.add("GET", "/v1/nat", "mappings: ?address= port= proto= limit= offset=; and the ports in use",
              [shared](const admin::Request& request) { return mappings(shared, request); });
    verbs.add("GET", "/v1/nat/ports",
              "ports in use by external address and protocol; who holds most mappings",
              [shared](const admin::Request& request) { return ports(shared, request); });
    verbs.add("GET", "/v1/nat/who", "who has and had an external endpoint: ?address= port= proto= at=",
              [shared](const admin::Request& request) { return who(shared, request); });
}

}  // namespace sluice::nat
