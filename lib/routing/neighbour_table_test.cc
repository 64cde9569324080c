#include "routing/neighbour_table.hh"

#include <gtest/gtest.h>

#include <atomic>
#include <map>
#include <thread>

#include "base/random.hh"

namespace sluice::routing {
namespace {

constexpr InterfaceId kLan{3};

MacAddress mac(uint32_t number) {
    MacAddress result{{2, 0, 0, 0, 0, 0}};
    Be32::from_host(number).store(result.bytes.data() + 2);
    return result;
}

IpAddress address(uint32_t number) {
    if (number % 2 == 0)
        return Ip4Address::from_host(0x0a000000 + number);
    std::array<uint8_t, 16> bytes{0xfd};
    Be32::from_host(number).store(bytes.data() + 12);
    return Ip6Address(bytes);
}

// A grace period the test ends when it likes.
class TestGrace final : public GracePeriod {
  public:
    uint64_t begin() override { return ++now_; }
    bool passed(uint64_t token) override { return token <= passed_; }
    void pass() { passed_ = now_; }

  private:
    uint64_t now_ = 0;
    uint64_t passed_ = 0;
};

TEST(NeighbourLink, HoldsTheMacAsOnTheWire) {
    const auto link = NeighbourLink::usable(*MacAddress::parse("02:11:22:33:44:55"));
    EXPECT_TRUE(link.usable());
    EXPECT_EQ(link.mac().to_string(), "02:11:22:33:44:55");
    std::array<uint8_t, 8> bytes{};
    link.store_mac_before(bytes.data());
    EXPECT_EQ(std::vector<uint8_t>(bytes.begin(), bytes.begin() + 6),
              (std::vector<uint8_t>{2, 0x11, 0x22, 0x33, 0x44, 0x55}));
    EXPECT_FALSE(NeighbourLink().usable());
}

TEST(NeighbourTable, FindsWhatWasInserted) {
    NeighbourTable table(64);
    const auto index = table.insert({kLan, address(2)});
    ASSERT_TRUE(index);
    EXPECT_EQ(table.find(kLan, address(2)).index, *index);
    EXPECT_FALSE(table.find(kLan, address(2)).link.usable());
    table.set_link(*index, NeighbourLink::usable(mac(7)));
    EXPECT_EQ(table.find(kLan, address(2).ip4()).link.mac(), mac(7));
    EXPECT_EQ(table.link(*index).mac(), mac(7));
    EXPECT_EQ(table.find(InterfaceId{4}, address(2)).index, kNoNeighbour) << "another interface";
    EXPECT_EQ(table.find(kLan, address(4)).index, kNoNeighbour);
    EXPECT_EQ(table.find(kLan, address(3)).index, kNoNeighbour);
    EXPECT_FALSE(table.link(kNoNeighbour).usable());
}

TEST(NeighbourTable, TellsWhatWasUsed) {
    NeighbourTable table(64);
    const auto index = *table.insert({kLan, address(2)});
    EXPECT_FALSE(table.take_used(index));
    table.mark_used(index);
    table.mark_used(index);
    EXPECT_TRUE(table.used(index));
    EXPECT_TRUE(table.take_used(index));
    EXPECT_FALSE(table.take_used(index));
}

TEST(NeighbourTable, HoldsHalfItsSlots) {
    NeighbourTable table(64);
    EXPECT_EQ(table.max_entries(), 32U);
    for (uint32_t i = 0; i < 32; ++i)
        ASSERT_TRUE(table.insert({kLan, address(i)}));
    EXPECT_FALSE(table.insert({kLan, address(32)}));
    EXPECT_EQ(table.size(), 32U);
}

TEST(NeighbourTable, ReusesSlotsOnlyAfterTheGracePeriod) {
    NeighbourTable table(64);
    TestGrace grace;
    for (uint32_t round = 0; round < 2; ++round) {
        for (uint32_t i = 0; i < 32; ++i)
            ASSERT_TRUE(table.insert({kLan, address(i)})) << round;
        for (uint32_t i = 0; i < 32; ++i) {
            const auto found = table.find(kLan, address(i));
            table.set_link(found.index, NeighbourLink::usable(mac(i)));
            table.remove(found.index, grace);
            EXPECT_EQ(table.find(kLan, address(i)).index, kNoNeighbour);
            EXPECT_FALSE(table.link(found.index).usable()) << "whoever still has the number must not send";
        }
    }
    EXPECT_EQ(table.size(), 0U);
    EXPECT_FALSE(table.insert({kLan, address(1)})) << "all slots wait";
    EXPECT_EQ(table.reclaim(grace), 64U);
    grace.pass();
    EXPECT_EQ(table.reclaim(grace), 0U);
    EXPECT_TRUE(table.insert({kLan, address(1)}));
}

// Against a map, with so many entries that buckets overflow and removal has to mend that.
TEST(NeighbourTable, AgreesWithAMap) {
    NeighbourTable table(1024);
    NoGracePeriod grace;
    Random random(5);
    std::map<uint32_t, NeighbourIndex> reference;
    for (size_t step = 0; step < 60000; ++step) {
        const uint32_t number = random.below(900);
        const auto known = reference.find(number);
        const auto found = table.find(kLan, address(number));
        ASSERT_EQ(found.index, known == reference.end() ? kNoNeighbour : known->second);
        if (known != reference.end()) {
            ASSERT_EQ(found.link.mac(), mac(number));
            if (random.below(3) == 0) {
                table.remove(known->second, grace);
                table.reclaim(grace);
                reference.erase(known);
            }
        } else if (const auto index = table.insert({kLan, address(number)})) {
            table.set_link(*index, NeighbourLink::usable(mac(number)));
            reference[number] = *index;
        } else {
            ASSERT_EQ(reference.size(), table.max_entries());
        }
    }
}

// Readers run while the writer adds and removes: whatever they find is whole and right.
TEST(NeighbourTable, IsReadWhileWritten) {
    NeighbourTable table(256);
    constexpr uint32_t kStable = 40;
    for (uint32_t i = 0; i < kStable; ++i)
        table.set_link(*table.insert({kLan, address(i)}), NeighbourLink::usable(mac(i)));
    std::atomic<uint64_t> reads{0};
    std::atomic<uint64_t> quiescent{0};
    std::atomic<bool> stop{false};
    // One reader, who is quiescent after every round: a grace period has passed two rounds later.
    struct ReaderGrace final : GracePeriod {
        std::atomic<uint64_t>& rounds;
        explicit ReaderGrace(std::atomic<uint64_t>& rounds_) : rounds(rounds_) {}
        uint64_t begin() override { return rounds.load() + 2; }
        bool passed(uint64_t token) override { return rounds.load() >= token; }
    } grace(quiescent);
    std::atomic<uint64_t> wrong{0};
    std::thread reader([&] {
        while (!stop) {
            for (uint32_t i = 0; i < 200; ++i) {
                const auto found = table.find(kLan, address(i));
                if (i < kStable && found.link.mac() != mac(i))
                    ++wrong;
                if (found.link.usable() && found.link.mac() != mac(i))
                    ++wrong;
                if (found.index != kNoNeighbour)
                    table.mark_used(found.index);
                ++reads;
            }
            ++quiescent;
        }
    });
    Random random(6);
    while (reads < 100'000) {
        const uint32_t number = kStable + random.below(200 - kStable);
        const auto found = table.find(kLan, address(number));
        if (found.index != kNoNeighbour) {
            table.remove(found.index, grace);
        } else if (const auto index = table.insert({kLan, address(number)})) {
            table.set_link(*index, NeighbourLink::usable(mac(number)));
        }
        table.reclaim(grace);
    }
    stop = true;
    reader.join();
    EXPECT_EQ(wrong, 0U);
}

}  // namespace
}  // namespace sluice::routing
