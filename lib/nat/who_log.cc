#include "nat/who_log.hh"

#include <algorithm>

namespace sluice::nat {
namespace {

std::array<uint8_t, 16> bytes_of(const IpAddress& address) {
    if (address.is_ip6())
        return address.ip6().bytes();
    std::array<uint8_t, 16> result{};
    address.ip4().store(result.data());
    return result;
}

IpAddress address_of(const std::array<uint8_t, 16>& bytes, Family family) {
    return family == Family::ip4 ? IpAddress(Ip4Address::load(bytes.data())) : Ip6Address(bytes);
}

}  // namespace

void WhoLog::add(const Mapping& mapping, Instant ended) {
    if (records_.empty())
        return;
    take_place() = {.began = mapping.began,
                    .ended = ended,
                    .external = bytes_of(mapping.external.address),
                    .inside = bytes_of(mapping.inside.address),
                    .external_port = mapping.external.port,
                    .inside_port = mapping.inside.port,
                    .protocol = mapping.protocol,
                    .family = mapping.external.address.family()};
}

bool WhoLog::Record::is_of(const Endpoint& endpoint, wire::IpProtocol of) const {
    return external_port == endpoint.port && protocol == of && family == endpoint.address.family() &&
           external == bytes_of(endpoint.address);
}

WhoRecord WhoLog::Record::told() const {
    return {.external = {address_of(external, family), external_port},
            .inside = {address_of(inside, family), inside_port},
            .protocol = protocol,
            .began = began,
            .ended = ended};
}

}  // namespace sluice::nat
