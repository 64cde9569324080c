// What is repeated leaves a flow as if it had been tracked.
#include "conntrack/tracker_repeat.hh"

#include <array>
#include <string>

#include "conntrack/tracker_fixture.hh"

namespace sluice::conntrack {
namespace {

using wire::IpProtocol;
using wire::kTcpAck;
using wire::kTcpSyn;

constexpr uint16_t kTracked = 1000;   // client's port of the flow of which every packet is tracked
constexpr uint16_t kRepeated = 2000;  // and of the one whose packets are repeated where they can be

// Two flows that have the same packets.
class Twins : public TrackerTest {
  protected:
    struct Segment {
        bool by_client;
        uint32_t sequence;
        uint32_t ack;
        std::string payload;
    };

    Bytes frame(bool is_ip6, uint16_t port, wire::TcpFlags flags, const Segment& segment) const {
        const IpAddress& client = is_ip6 ? a6 : a;
        const IpAddress& server = is_ip6 ? b6 : b;
        return segment.by_client
                   ? tcp(client, port, server, 80, flags, segment.sequence, segment.ack, segment.payload)
                   : tcp(server, 80, client, port, flags, segment.sequence, segment.ack, segment.payload);
    }
    void open(bool is_ip6) {
        for (const uint16_t port : {kTracked, kRepeated}) {
            pass(frame(is_ip6, port, kTcpSyn, {true, 1000, 0, ""}));
            pass(frame(is_ip6, port, kTcpSyn | kTcpAck, {false, 5000, 1001, ""}), kWan);
            flows_[port == kRepeated] = pass(frame(is_ip6, port, kTcpAck, {true, 1001, 5001, ""})).flow;
        }
    }
    template <Family family, IpProtocol protocol>
    void send(const Bytes& tracked, const Bytes& repeated, bool by_client) {
        const auto in = by_client ? kLan : kWan;
        const auto direction = by_client ? Direction::original : Direction::reply;
        pass(tracked, in);
        Flow& flow = *flows_[1];
        if (tracker->repeat_sound<family, protocol>(flow, flow.half(direction), {}, repeated.data(),
                                                    static_cast<uint32_t>(repeated.size()),
                                                    tracker->round(now)))
            ++repeats_;
        else
            pass(repeated, in);
    }
    void expect_equal() const {
        for (const auto direction : {Direction::original, Direction::reply}) {
            EXPECT_EQ(flows_[0]->counters(direction).packets(), flows_[1]->counters(direction).packets());
            EXPECT_EQ(flows_[0]->counters(direction).bytes(), flows_[1]->counters(direction).bytes());
        }
        EXPECT_EQ(flows_[0]->deadline(), flows_[1]->deadline());
        EXPECT_EQ(flows_[0]->status, flows_[1]->status);
    }

    template <Family family>
    void exchange_segments(const Settings& with) {
        make(100, with);
        open(family == Family::ip6);
        std::array<uint32_t, 2> next{1001, 5001};
        Segment last{true, 1001, 5001, ""};
        for (int i = 0; i < 400; ++i) {
            now += Duration(random.below(40'000'000));
            // Some come again, as they came.
            if (random.below(6) != 0) {
                const bool by_client = random.below(2) == 0;
                const uint32_t late = random.below(8) == 0 ? random.below(70'000) : 0;
                last = {by_client, next[by_client ? 0 : 1] - late, next[by_client ? 1 : 0],
                        std::string(random.below(3) == 0 ? 0 : random.below(18), 'x')};
                if (random.below(3) == 0)
                    last.ack -= random.below(100);
            }
            send<family, IpProtocol::tcp>(frame(family == Family::ip6, kTracked, kTcpAck, last),
                                          frame(family == Family::ip6, kRepeated, kTcpAck, last),
                                          last.by_client);
            auto& end = next[last.by_client ? 0 : 1];
            end = std::max(end, last.sequence + static_cast<uint32_t>(last.payload.size()));
            expect_equal();
            ASSERT_EQ(flows_[0]->track<TcpTrack>(), flows_[1]->track<TcpTrack>()) << i;
        }
    }
    unsigned repeats_ = 0;
    std::array<Flow*, 2> flows_{};
};

TEST_F(Twins, OfTcpStayTheSame) {
    for (const auto profile : {Profile::linux, Profile::rfc}) {
        exchange_segments<Family::ip4>(Settings::of(profile));
        exchange_segments<Family::ip6>(Settings::of(profile));
    }
    EXPECT_GT(repeats_, 400U);
}

TEST_F(Twins, OfTcpStayTheSameWhateverTheTimeouts) {
    for (const uint8_t retransmissions : std::array<uint8_t, 3>{0, 1, 3}) {
        for (const auto& [timeout, lasts] : {std::pair(Timeout::tcp_max_retrans, Duration(20s)),
                                             std::pair(Timeout::tcp_unacknowledged, Duration(10s)),
                                             std::pair(Timeout::tcp_established, Duration(30s))}) {
            auto with = Settings::of(Profile::linux);
            with.tcp_max_retrans = retransmissions;
            with.timeouts.set(timeout, lasts);
            exchange_segments<Family::ip4>(with);
        }
    }
    EXPECT_GT(repeats_, 400U);
}

TEST_F(Twins, OfUdpStayTheSame) {
    make(100, Settings::of(Profile::rfc));
    for (const uint16_t port : {kTracked, kRepeated}) {
        pass(udp(a, port, b, 53));
        pass(udp(b, 53, a, port), kWan);
    }
    now += 2 * kUdpStreamDelay;
    for (const uint16_t port : {kTracked, kRepeated}) {
        flows_[port == kRepeated] = pass(udp(a, port, b, 53)).flow;
    }
    for (int i = 0; i < 100; ++i) {
        now += Duration(random.below(4'000'000));
        const bool by_client = random.below(2) == 0;
        const std::string payload(random.below(20), 'x');
        const auto frame = [&](uint16_t port) {
            return by_client ? udp(a, port, b, 53, payload) : udp(b, 53, a, port, payload);
        };
        send<Family::ip4, IpProtocol::udp>(frame(kTracked), frame(kRepeated), by_client);
        expect_equal();
    }
    EXPECT_GT(repeats_, 90U);
}

// Flows are guessed by a few bits of their tuples' hash.
TEST_F(Twins, AreNotRepeatedAsOfAnotherProtocolOrStatus) {
    auto with = Settings::of(Profile::linux);
    with.timeouts.set(Timeout::tcp_established, Duration(30s));  // less than of UDP
    make(100, with);
    open(false);
    Flow& flow = *flows_[1];
    ASSERT_TRUE(flow.status.has(kAssured));
    const auto segment = frame(false, kRepeated, kTcpAck, {true, 1001, 5001, "x"});
    const auto datagram = udp(a, kRepeated, b, 80, "x");
    const auto repeats = [&]<IpProtocol protocol>(const Bytes& packet, Status refused) {
        return tracker->repeat_sound<Family::ip4, protocol>(
            flow, flow.half(Direction::original), refused, packet.data(),
            static_cast<uint32_t>(packet.size()), tracker->round(now));
    };
    const auto as_tcp = [&](Status refused) { return repeats.operator()<IpProtocol::tcp>(segment, refused); };
    EXPECT_FALSE(repeats.operator()<IpProtocol::udp>(datagram, {}));
    const auto before = flow.status;
    for (const auto status : {kDying, kFixedTimeout, kSeqAdjust, kSnat, kDnat}) {
        flow.status.set(status);
        EXPECT_FALSE(as_tcp(kSnat | kDnat)) << status.bits();
        flow.status = before;
    }
    for (const auto status : {kSeenReply, kAssured}) {
        flow.status.clear(status);
        EXPECT_FALSE(as_tcp(kSnat | kDnat)) << status.bits();
        flow.status = before;
    }
    flow.status.set(kDnat);
    EXPECT_TRUE(as_tcp({}));
}

}  // namespace
}  // namespace sluice::conntrack
