// The flow table against a plain map, under random events.
#include "conntrack/flow_table.hh"

#include <gtest/gtest.h>

#include <cstring>
#include <map>
#include <set>
#include <vector>

#include "base/random.hh"
#include "conntrack/flow_job.hh"
#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

Tuple tuple_for(uint32_t number) {
    const auto port = static_cast<uint16_t>(number % 1000);
    if (number % 2 == 0)
        return {Ip4Address::from_host(0x0a000000 + number), Ip4Address::from_host(0xc0000200),
                wire::IpProtocol::udp, port, 53};
    std::array<uint8_t, 16> bytes{0x20, 1};
    wire::write32(bytes.data() + 12, number);
    return {Ip6Address(bytes), Ip6Address(std::array<uint8_t, 16>{0x20, 2}), wire::IpProtocol::udp, port, 53};
}

constexpr TupleHash kHash{{1, 2, 3, 4}};

TEST(FlowTable, AgreesWithAMapUnderRandomEvents) {
    constexpr size_t kCapacity = 2000;
    constexpr uint32_t kNumbers = 4000;
    FlowTable table(kCapacity, kHash);
    struct Known {
        Flow* flow;
        Ticks deadline;
    };
    std::map<uint32_t, Known> known;    // confirmed, by the tuple's number
    std::map<uint32_t, Flow*> pending;  // not yet
    std::map<const Flow*, uint32_t> numbers;
    Random random(7);
    Ticks now = 0xffff0000;
    for (int round = 0; round < 200'000; ++round) {
        const uint32_t number = random.below(kNumbers);
        const auto original = tuple_for(number);
        switch (random.below(8)) {
            case 0:
            case 1:
            case 2:
                if (!known.contains(number) && !pending.contains(number)) {
                    Flow* flow = table.create(original, *inverted(original), kLan);
                    ASSERT_EQ(flow == nullptr, known.size() + pending.size() >= kCapacity);
                    if (flow != nullptr)
                        pending[number] = flow;
                }
                break;
            case 3:
            case 4:
                if (pending.contains(number)) {
                    Flow& flow = *pending[number];
                    const Ticks life = 1 + random.below(50'000);
                    table.set_deadline(flow, life);
                    Found other;
                    ASSERT_EQ(table.insert(flow, now, other), FlowTable::Insert::done);
                    known[number] = {&flow, now + life};
                    numbers[&flow] = number;
                    pending.erase(number);
                }
                break;
            case 5:
                if (pending.contains(number)) {
                    table.discard(*pending[number]);
                    pending.erase(number);
                } else if (known.contains(number) && random.below(2) == 0) {
                    table.erase(*known[number].flow);
                    known.erase(number);
                }
                break;
            case 6:
                if (known.contains(number)) {
                    known[number].deadline = now + random.below(60'000);
                    table.set_deadline(*known[number].flow, known[number].deadline);
                }
                break;
            default: {
                table.reclaim();
                now += random.below(20);
                const auto ahead = [](std::span<const Flow* const>) {};
                ASSERT_TRUE(table.expire(now, SIZE_MAX, ahead, [&](Flow& flow) {
                    const uint32_t gone = numbers.at(&flow);
                    ASSERT_TRUE(is_due(known.at(gone).deadline, now));
                    known.erase(gone);
                    table.erase(flow);
                }));
            }
        }
        ASSERT_EQ(table.size(), known.size() + pending.size());
        ASSERT_EQ(table.index_entries(), 2 * known.size());
        ASSERT_EQ(table.timers(), known.size());
        const auto found = table.find(original);
        ASSERT_EQ(found.flow, known.contains(number) ? known[number].flow : nullptr);
        const auto back = table.find(*inverted(original));
        ASSERT_EQ(back.flow, found.flow);
        if (found) {
            ASSERT_EQ(found.direction, Direction::original);
            ASSERT_EQ(back.direction, Direction::reply);
            ASSERT_EQ(found.flow->tuple(Direction::original), original);
            ASSERT_EQ(table.find(table.handle(*found.flow)), found.flow);
        }
    }
    EXPECT_GT(known.size(), 100U);
}

// Of either family; those whose tuples are there, and others.
TEST(FlowTable, GuessesFindWhatSingleLookupsFind) {
    FlowTable table(1000, kHash);
    std::vector<std::vector<uint8_t>> headers;
    std::vector<const uint8_t*> addresses6;
    std::vector<uint64_t> addresses;
    std::vector<uint64_t> rest;
    std::vector<Tuple> tuples;
    uint64_t ip4 = 0;
    uint64_t ip6 = 0;
    for (uint32_t number = 0; number < 64; ++number) {
        const bool is_ip6 = number % 5 < 2;
        const auto protocol = number % 2 == 0 ? wire::IpProtocol::udp : wire::IpProtocol::tcp;
        const auto source = is_ip6 ? IpAddress(*Ip6Address::parse("2001:db8::" + std::to_string(number)))
                                   : IpAddress(*Ip4Address::parse("10.0.0." + std::to_string(number)));
        const auto target = is_ip6 ? *IpAddress::parse("2001:db8:1::1") : *IpAddress::parse("10.1.0.1");
        const Tuple original(source, target, protocol, static_cast<uint16_t>(1000 + number), 53);
        if (number % 3 != 0) {
            Found other;
            ASSERT_EQ(table.insert(*table.create(original, *inverted(original), kLan), 0, other),
                      FlowTable::Insert::done);
        }
        const auto& tuple = tuples.emplace_back(number % 4 == 0 ? *inverted(original) : original);
        // Where the protocols and ports stand in IPv6's header, and the addresses of both.
        auto& header = headers.emplace_back(44);
        header[6] = static_cast<uint8_t>(tuple.protocol());
        std::memcpy(&header[8], tuple.addresses(), 32);
        wire::write16(&header[40], tuple.sport);
        wire::write16(&header[42], tuple.dport);
        addresses6.push_back(&header[8]);
        uint64_t both = 0;
        std::memcpy(&both, tuple.source_bytes().data(), 4);
        std::memcpy(reinterpret_cast<uint8_t*>(&both) + 4, tuple.destination_bytes().data(), 4);
        addresses.push_back(both);
        rest.push_back(tuple.rest());
        (is_ip6 ? ip6 : ip4) |= uint64_t{1} << number;
    }
    const Ip4PortsKeys keys4{.addresses = addresses.data(), .rest = rest.data()};
    const Ip6PortsKeys keys6{.frames = addresses6.data(), .addresses_at = 0, .rest = rest.data()};
    std::vector<Guess> guesses(64);
    std::vector<uint64_t> hashes(64);
    const uint64_t without = table.guess_burst(keys4, ip4, guesses.data(), hashes.data()) |
                             table.guess_burst(keys6, ip6, guesses.data(), hashes.data());
    for (uint32_t number = 0; number < 64; ++number) {
        const bool is_ip6 = (ip6 >> number & 1) != 0;
        const auto found = is_ip6 ? table.find_guessed(guesses[number], keys6, number, hashes[number])
                                  : table.find_guessed(guesses[number], keys4[number], hashes[number]);
        EXPECT_EQ(found.flow != nullptr, number % 3 != 0) << number;
        EXPECT_EQ(found.flow, table.find(tuples[number]).flow);
        EXPECT_EQ((without >> number & 1) != 0, guesses[number].flow == nullptr) << number;
        if (found) {
            EXPECT_EQ(found.flow, guesses[number].flow);
            EXPECT_EQ(found.direction, table.find(tuples[number]).direction);
        }
    }
    // A guess is no answer: one bit of an address makes it another's.
    const uint32_t known = 5;
    ASSERT_TRUE((ip6 >> known & 1) != 0 && guesses[known].flow != nullptr);
    EXPECT_TRUE(FlowTable::is(guesses[known], keys6, known));
    for (const size_t byte : {8, 23, 24, 39}) {
        headers[known][byte] ^= 1;
        EXPECT_FALSE(FlowTable::is(guesses[known], keys6, known)) << byte;
        headers[known][byte] ^= 1;
    }
    rest[known] ^= 0x10000;
    EXPECT_FALSE(FlowTable::is(guesses[known], keys6, known));
}

TEST(FlowTable, AHandleNamesOneFlowOnly) {
    FlowTable table(10, kHash);
    const auto tuple = tuple_for(2);
    Flow* first = table.create(tuple, *inverted(tuple), kLan);
    const auto handle = table.handle(*first);
    EXPECT_EQ(table.find(handle), first);
    table.discard(*first);
    Flow* second = table.create(tuple, *inverted(tuple), kLan);
    EXPECT_EQ(first, second);  // the same place
    EXPECT_EQ(table.find(handle), nullptr);
}

class FlowJobTest : public TrackerTest {};

TEST_F(FlowJobTest, AWalkInSlicesMeetsEveryFlowOnce) {
    make(5000);
    for (uint16_t port = 1; port <= 2000; ++port) {
        pass(udp(a, port, b, 53));
        pass(udp(a6, port, b6, 53));
    }
    FlowJob job(FlowAction::list, {});
    std::set<std::pair<Family, uint16_t>> seen;
    do {
        job.send();
        while (!job.run(*tracker, now, 100)) {
            // Flows come and go meanwhile.
            pass(udp(b, static_cast<uint16_t>(seen.size() + 1), a, 9));
        }
        EXPECT_TRUE(job.is_back());
        EXPECT_LE(job.records().size(), FlowJob::kBatch);
        for (const auto& flow : job.records())
            if (flow.original.dport == 53) {
                EXPECT_TRUE(seen.emplace(flow.original.family(), flow.original.sport).second);
            }
        job.records().clear();
    } while (!job.done());
    EXPECT_EQ(seen.size(), 4000U);
}

TEST_F(FlowJobTest, FiltersChoose) {
    make();
    pass(udp(a, 1, b, 53));
    pass(udp(b, 53, a, 1));
    pass(udp(a, 2, b, 53));
    pass(tcp(a, 3, b, 80, wire::kTcpSyn, 1, 0));
    pass(icmp(a, b, 8, 0, 1));
    pass(udp(a6, 4, b6, 53));
    const auto chosen = [&](const std::vector<std::pair<std::string_view, std::string_view>>& query) {
        FlowFilter filter;
        for (const auto& [name, value] : query)
            EXPECT_TRUE(filter.set(name, value)) << name << value;
        FlowJob job(FlowAction::count, filter);
        job.send();
        while (!job.run(*tracker, now, 10)) {
        }
        return job.matched();
    };
    EXPECT_EQ(chosen({}), 5U);
    EXPECT_EQ(chosen({{"family", "ip6"}}), 1U);
    EXPECT_EQ(chosen({{"proto", "udp"}}), 3U);
    EXPECT_EQ(chosen({{"proto", "6"}}), 1U);
    EXPECT_EQ(chosen({{"src", "10.0.0.0/8"}, {"dport", "53"}}), 2U);
    EXPECT_EQ(chosen({{"dst", "10.0.0.0/8"}}), 0U);
    EXPECT_EQ(chosen({{"state", "syn_sent"}}), 1U);
    EXPECT_EQ(chosen({{"status", "seen_reply"}}), 1U);
    EXPECT_EQ(chosen({{"status", "!seen_reply"}, {"proto", "udp"}}), 2U);
    EXPECT_EQ(chosen({{"status", "unreplied"}}), 4U);
    EXPECT_EQ(chosen({{"mark", "0x7"}}), 0U);
    FlowFilter filter;
    EXPECT_FALSE(*filter.set("colour", "red"));
    for (const auto& [name, value] :
         std::vector<std::pair<std::string_view, std::string_view>>{{"proto", "xyz"},
                                                                    {"src", "nowhere"},
                                                                    {"sport", "70000"},
                                                                    {"state", "MAYBE"},
                                                                    {"status", "shiny"}})
        EXPECT_FALSE(filter.set(name, value).has_value()) << name;
}

TEST_F(FlowJobTest, EraseEndsWhatTheFilterChooses) {
    make();
    pass(udp(a, 1, b, 53));
    pass(tcp(a, 3, b, 80, wire::kTcpSyn, 1, 0));
    FlowFilter filter;
    ASSERT_TRUE(filter.set("proto", "udp"));
    FlowJob job(FlowAction::erase, filter);
    job.send();
    while (!job.run(*tracker, now, 1)) {
    }
    EXPECT_EQ(job.matched(), 1U);
    EXPECT_EQ(flows(), 1U);
    EXPECT_EQ(count(Count::deleted), 1U);
    check();
}

}  // namespace
}  // namespace sluice::conntrack
