#include <gtest/gtest.h>

#include "telemetry/packet_counters.hh"

namespace sluice::telemetry {
namespace {

TEST(PacketCounters, KeepDropsByInterfaceAndReason) {
    PacketCounters counters(3);
    const auto reason = drop_reason(DropBlock::routing, 5);
    counters.drop(InterfaceId{2}, reason, 100);
    counters.drop(InterfaceId{2}, reason, 60);
    EXPECT_EQ(counters.drops(InterfaceId{2}, reason).packets.read(), 2U);
    EXPECT_EQ(counters.drops(InterfaceId{2}, reason).bytes.read(), 160U);
    EXPECT_EQ(counters.drops(InterfaceId{1}, reason).packets.read(), 0U);
    EXPECT_EQ(counters.totals().dropped, 2U);
}

TEST(PacketTotals, BalanceOverWorkersEvenWhereOneWorkerAloneDoesNot) {
    PacketCounters worker(1);
    PacketCounters control(1);
    worker.received.add(2);
    worker.held_in.add(1);
    worker.sent.add(1);
    control.held_out.add(1);
    control.drop(InterfaceId{0}, drop_reason(DropBlock::routing, 0), 60);
    auto totals = worker.totals();
    totals += control.totals();
    EXPECT_EQ(totals.held, 0U);
    EXPECT_TRUE(totals.balanced());
}

TEST(ProtocolCounters, HaveTheNamesOfNstat) {
    ProtocolCounters counters;
    counters.add(Protocol::IpForwDatagrams, 3);
    EXPECT_EQ(protocol_catalog()[static_cast<size_t>(Protocol::IpForwDatagrams)].name, "IpForwDatagrams");
    EXPECT_EQ(counters.read(static_cast<size_t>(Protocol::IpForwDatagrams)), 3U);
    EXPECT_EQ(protocol_catalog().size(), kProtocolCounters);
}

}  // namespace
}  // namespace sluice::telemetry
