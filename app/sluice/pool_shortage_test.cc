// Where packet buffers have run out packets are dropped, once each.
#include <span>
#include <vector>

#include "pipeline/drops.hh"
#include "sluice/burst_path_under_test.hh"

namespace sluice::test {
namespace {

constexpr std::string_view kConfig = R"(
interfaces:
  lan: {device: net_null0, addresses: ["fd00:1::1/64"]}
  guests: {device: net_null1, addresses: ["fd00:3::1/64"]}
  wan: {device: net_null2, addresses: ["fd00:2::2/64"]}
routes: [{to: default, via: "fd00:2::1"}]
conntrack: {}
)";

class PoolShortageTest : public BurstPath {
  protected:
    PoolShortageTest() : BurstPath(kConfig) {}

    // A datagram that came as its only fragment.
    static conntrack::Bytes atomic_fragment(const IpAddress& from, const IpAddress& to) {
        constexpr size_t kIp = 40;
        const auto whole = conntrack::udp(from, 1000, to, 53);
        conntrack::Bytes upper{static_cast<uint8_t>(wire::IpProtocol::udp), 0, 0, 0, 0, 0, 0, 7};
        upper.insert(upper.end(), whole.begin() + kIp, whole.end());
        return conntrack::packet(from, to, wire::IpProtocol::fragment, upper);
    }
};

TEST_F(PoolShortageTest, a_reassembled_packet_that_cannot_be_copied_is_freed_once) {
    const auto datagram = atomic_fragment(*IpAddress::parse("fd00:1::10"), *IpAddress::parse("2001:db8::1"));
    EXPECT_EQ(forward(kLan, frame(kLan, datagram)), 1U);
    const auto size = pool_.available();
    auto* const last = frame(kLan, datagram);
    std::vector<dpdk::Packet*> others;
    while (auto* other = pool_.allocate())
        others.push_back(other);
    EXPECT_EQ(forward(kLan, last), 0U);
    EXPECT_EQ(worker_.counters.drops(InterfaceId{0}, pipeline::drops::no_buffer).packets.read(), 1U);
    // One is kept: a pool that is full does not tell that it has more than it ever had.
    for (auto* other : std::span(others).subspan(1))
        rte_pktmbuf_free(other);
    EXPECT_EQ(pool_.available(), size - 1);
    rte_pktmbuf_free(others.front());
}

}  // namespace
}  // namespace sluice::test
