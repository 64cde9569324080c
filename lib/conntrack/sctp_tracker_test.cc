#include "conntrack/sctp_tracker.hh"

#include <gtest/gtest.h>

#include <chrono>
#include <map>
#include <string>
#include <utility>

#include "wire/test_bytes.hh"

namespace sluice::conntrack {
namespace {

using std::chrono::seconds;
using wire::Buffer;
using Type = wire::SctpChunkType;

constexpr auto kOriginal = Direction::original;
constexpr auto kReply = Direction::reply;
constexpr uint32_t kClientTag = 0x1111;  // packets to the client carry it
constexpr uint32_t kServerTag = 0x2222;

Buffer chunk(Type type, uint32_t initiate = 0, uint8_t flags = 0) {
    const bool init = type == Type::init || type == Type::init_ack;
    Buffer bytes(init ? 20 : 4);
    bytes[0] = static_cast<uint8_t>(type);
    bytes[1] = flags;
    wire::write16(bytes.data() + 2, static_cast<uint16_t>(bytes.size()));
    if (init)
        wire::write32(bytes.data() + 4, initiate);
    return bytes;
}

class Association {
  public:
    TrackResult send(Direction direction, uint32_t tag, std::initializer_list<Buffer> chunks) {
        Buffer bytes(wire::kSctpHeaderSize);
        wire::SctpHeader{1, 2, Be32::from_host(tag), 0}.emit(bytes);
        for (const Buffer& each : chunks)
            bytes.insert(bytes.end(), each.begin(), each.end());
        const TrackResult result = track_sctp(track, wire::SctpView::checked(bytes).value(),
                                              {direction, status, {}}, Settings::of(Profile::linux));
        if (result.verdict != TrackVerdict::accept)
            return result;
        status.set(kConfirmed);
        if (direction == kReply)
            status.set(kSeenReply);
        if (result.assured)
            status.set(kAssured);
        return result;
    }
    TrackResult client(Type type, uint32_t tag = kServerTag) { return send(kOriginal, tag, {chunk(type)}); }
    TrackResult server(Type type, uint32_t tag = kClientTag) { return send(kReply, tag, {chunk(type)}); }
    void open() {
        send(kOriginal, 0, {chunk(Type::init, kClientTag)});
        send(kReply, kClientTag, {chunk(Type::init_ack, kServerTag)});
        client(Type::cookie_echo);
        server(Type::cookie_ack);
    }

    SctpTrack track;
    Status status;
};

TEST(SctpTracker, FromInitToShutdownComplete) {
    Association sctp;
    EXPECT_EQ(sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)}).timeout, seconds(10));
    EXPECT_EQ(sctp.track.state, SctpState::closed);
    EXPECT_EQ(sctp.send(kReply, kClientTag, {chunk(Type::init_ack, kServerTag)}).timeout, seconds(3));
    EXPECT_EQ(sctp.track.state, SctpState::cookie_wait);
    EXPECT_EQ(sctp.client(Type::cookie_echo).timeout, seconds(3));
    EXPECT_EQ(sctp.track.state, SctpState::cookie_echoed);
    const TrackResult opened = sctp.server(Type::cookie_ack);
    EXPECT_EQ(opened.timeout, seconds(210));
    EXPECT_TRUE(opened.assured);
    EXPECT_TRUE(opened.state_changed);
    const TrackResult data = sctp.client(Type::data);
    EXPECT_EQ(data, TrackResult::live(seconds(210)));
    EXPECT_EQ(sctp.client(Type::shutdown).timeout, seconds(3));
    EXPECT_EQ(sctp.track.state, SctpState::shutdown_sent);
    EXPECT_EQ(sctp.server(Type::shutdown_ack).timeout, seconds(3));
    EXPECT_EQ(sctp.track.state, SctpState::shutdown_ack_sent);
    EXPECT_EQ(sctp.client(Type::shutdown_complete).timeout, seconds(10));
    EXPECT_EQ(sctp.track.state, SctpState::closed);
}

// Every cell of the table, written the other way round than there: by state.
TEST(SctpTracker, AllTransitions) {
    constexpr std::array kTypes{Type::init,        Type::init_ack,      Type::abort,
                                Type::shutdown,    Type::shutdown_ack,  Type::error,
                                Type::cookie_echo, Type::cookie_ack,    Type::shutdown_complete,
                                Type::heartbeat,   Type::heartbeat_ack, Type::data};
    const std::map<std::pair<SctpState, Direction>, std::string> expected{
        // closed 1, cookie_wait 2, cookie_echoed 3, established 4, shutdown_sent 5, shutdown_recd 6,
        // shutdown_ack_sent 7, heartbeat_sent 8, invalid -
        {{SctpState::closed, kOriginal}, "111111111111"},
        {{SctpState::cookie_wait, kOriginal}, "221222322222"},
        {{SctpState::cookie_echoed, kOriginal}, "331333343333"},
        {{SctpState::established, kOriginal}, "441544444444"},
        {{SctpState::shutdown_sent, kOriginal}, "151575555555"},
        {{SctpState::shutdown_recd, kOriginal}, "161676666666"},
        {{SctpState::shutdown_ack_sent, kOriginal}, "771777771777"},
        {{SctpState::heartbeat_sent, kOriginal}, "211171111888"},
        {{SctpState::closed, kReply}, "121111111111"},
        {{SctpState::cookie_wait, kReply}, "221222322222"},
        {{SctpState::cookie_echoed, kReply}, "331331343333"},
        {{SctpState::established, kReply}, "441644444444"},
        {{SctpState::shutdown_sent, kReply}, "551575555555"},
        {{SctpState::shutdown_recd, kReply}, "661676666666"},
        {{SctpState::shutdown_ack_sent, kReply}, "771777771777"},
        {{SctpState::heartbeat_sent, kReply}, "---------848"},
    };
    for (const auto& [from, row] : expected) {
        for (size_t place = 0; place < kTypes.size(); ++place) {
            const Type type = kTypes.at(place);
            SCOPED_TRACE(std::string(to_string(from.first)) + " chunk " +
                         std::to_string(static_cast<int>(type)) +
                         (from.second == kReply ? " reply" : " original"));
            Association sctp;
            sctp.status = kConfirmed | kSeenReply;
            sctp.track.state = from.first;
            sctp.track.tags = {Be32::from_host(kServerTag), Be32::from_host(kClientTag)};
            const uint32_t own = from.second == kOriginal ? kServerTag : kClientTag;
            const uint32_t peer = from.second == kOriginal ? kClientTag : kServerTag;
            const TrackResult result =
                sctp.send(from.second, type == Type::init ? 0 : own, {chunk(type, peer)});
            if (row.at(place) == '-') {
                EXPECT_EQ(result, TrackResult::invalid(InvalidReason::sctp_state));
                continue;
            }
            EXPECT_EQ(result.verdict, TrackVerdict::accept);
            EXPECT_EQ(static_cast<int>(sctp.track.state), row.at(place) - '0');
            EXPECT_EQ(result.state_changed, sctp.track.state != from.first);
        }
    }
}

TEST(SctpTracker, WhatMayBegin) {
    const auto first = [](Type type, uint32_t tag) {
        Association sctp;
        const TrackResult result = sctp.send(kOriginal, tag, {chunk(type, kClientTag)});
        return std::pair(result.reason, sctp.track.state);
    };
    EXPECT_EQ(first(Type::init, 0), std::pair(InvalidReason::none, SctpState::closed));
    EXPECT_EQ(first(Type::init, 1).first, InvalidReason::sctp_tag);
    EXPECT_EQ(first(Type::heartbeat, 7), std::pair(InvalidReason::none, SctpState::heartbeat_sent));
    EXPECT_EQ(first(Type::shutdown_ack, 7), std::pair(InvalidReason::none, SctpState::shutdown_ack_sent));
    for (const Type type : {Type::abort, Type::shutdown_complete, Type::cookie_ack, Type::data, Type::sack})
        EXPECT_EQ(first(type, 7).first, InvalidReason::sctp_not_first) << static_cast<int>(type);
}

// RFC 9260 8.5
TEST(SctpTracker, WrongTags) {
    Association sctp;
    sctp.open();
    const TrackResult wrong = TrackResult::invalid(InvalidReason::sctp_tag);
    for (const Type type : {Type::data, Type::sack, Type::shutdown, Type::error, Type::cookie_echo,
                            Type::abort, Type::shutdown_complete, Type::init})
        EXPECT_EQ(sctp.client(type, 0x7777), wrong) << static_cast<int>(type);
    EXPECT_EQ(sctp.track.state, SctpState::established);
    // ABORT and SHUTDOWN COMPLETE may reflect the other end's tag, and say so.
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {chunk(Type::abort, 0, 1)}), wrong);
    EXPECT_EQ(sctp.send(kOriginal, kClientTag, {chunk(Type::abort)}), wrong);
    EXPECT_EQ(sctp.send(kOriginal, kClientTag, {chunk(Type::abort, 0, 1)}).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.track.state, SctpState::closed);
}

// RFC 9260 5.1, 6.10
TEST(SctpTracker, ChunksThatMustBeAloneOrFirst) {
    const TrackResult malformed = TrackResult::invalid(InvalidReason::sctp_chunks);
    Association sctp;
    sctp.open();
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {}), malformed);
    EXPECT_EQ(sctp.send(kOriginal, 0, {chunk(Type::init, 1), chunk(Type::data)}), malformed);
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {chunk(Type::data), chunk(Type::init_ack, 1)}), malformed);
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {chunk(Type::shutdown_complete), chunk(Type::data)}),
              malformed);
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {chunk(Type::data), chunk(Type::cookie_echo)}), malformed);
    EXPECT_EQ(sctp.send(kReply, kClientTag, {chunk(Type::data), chunk(Type::cookie_ack)}), malformed);
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {wire::with(chunk(Type::data), 3, 0)}), malformed);
    EXPECT_EQ(sctp.send(kOriginal, kServerTag, {chunk(Type::cookie_echo), chunk(Type::data)}).verdict,
              TrackVerdict::accept);
    Association cut;
    EXPECT_EQ(cut.send(kOriginal, 0, {Buffer{1, 0, 0, 20, 0, 0, 0, 1}}), malformed);
}

TEST(SctpTracker, ARepeatedInitDoesNotProlong) {
    Association sctp;
    EXPECT_TRUE(sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)}).refresh);
    EXPECT_EQ(sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)}), TrackResult::keep());
}

// RFC 9260 5.2.1: both ends have sent an INIT; an INIT ACK with another tag is not believed.
TEST(SctpTracker, Collision) {
    Association sctp;
    sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)});
    sctp.send(kReply, 0, {chunk(Type::init, kServerTag)});
    EXPECT_EQ(sctp.send(kReply, kClientTag, {chunk(Type::init_ack, 0x9999)}),
              TrackResult::invalid(InvalidReason::sctp_tag));
    EXPECT_EQ(sctp.send(kReply, kClientTag, {chunk(Type::init_ack, kServerTag)}).verdict,
              TrackVerdict::accept);
    EXPECT_EQ(sctp.track.state, SctpState::cookie_wait);
}

TEST(SctpTracker, ASecondPathIsOpenedByHeartbeats) {
    Association sctp;
    EXPECT_EQ(sctp.client(Type::heartbeat, 0xaaaa).timeout, seconds(30));
    const TrackResult answer = sctp.server(Type::heartbeat_ack, 0xbbbb);
    EXPECT_EQ(answer.timeout, seconds(210));
    EXPECT_TRUE(answer.assured);
    EXPECT_EQ(sctp.client(Type::data, 0xaaaa).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.server(Type::data, 0xbbbb).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.server(Type::data, 0xcccc).reason, InvalidReason::sctp_tag);
}

// When INITs cross, the cookie of either side may be echoed first (RFC 9260 5.2.1).
TEST(SctpTracker, TheCookieOfTheReplyingSide) {
    Association sctp;
    sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)});
    sctp.send(kReply, 0, {chunk(Type::init, kServerTag)});
    sctp.send(kReply, kClientTag, {chunk(Type::init_ack, kServerTag)});
    EXPECT_EQ(sctp.track.state, SctpState::cookie_wait);
    EXPECT_EQ(sctp.server(Type::cookie_echo).timeout, seconds(3));
    EXPECT_EQ(sctp.track.state, SctpState::cookie_echoed);
    const TrackResult opened = sctp.client(Type::cookie_ack);
    EXPECT_EQ(opened.timeout, seconds(210));
    EXPECT_TRUE(opened.assured);
}

TEST(SctpTracker, ChunksInFrontOfAnInvalidOneHold) {
    Association sctp;
    sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)});
    sctp.send(kReply, kClientTag, {chunk(Type::init_ack, kServerTag)});
    sctp.client(Type::cookie_echo);
    const TrackResult result = sctp.send(kReply, 0x3333, {chunk(Type::cookie_ack), chunk(Type::abort)});
    EXPECT_EQ(result.verdict, TrackVerdict::invalid);
    EXPECT_TRUE(result.assured);
    EXPECT_EQ(sctp.track.state, SctpState::established);
}

// An INIT that is sent again is no new one, whose answer could bring another tag.
TEST(SctpTracker, ARepeatedInitTellsNothing) {
    constexpr uint32_t kNewTag = 0x3333;
    Association sctp;
    sctp.open();
    EXPECT_EQ(sctp.send(kOriginal, 0, {chunk(Type::init, kClientTag)}).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.send(kReply, kClientTag, {chunk(Type::init_ack, kNewTag)}),
              TrackResult::invalid(InvalidReason::sctp_tag));
    EXPECT_EQ(sctp.send(kOriginal, 0, {chunk(Type::init, 0x4444)}).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.send(kReply, 0x4444, {chunk(Type::init_ack, kNewTag)}).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.track.tags[0], Be32::from_host(kNewTag));
}

// Whichever comes first tells the tag of its own direction, and nothing about the other.
TEST(SctpTracker, HeartbeatsTellTheTagOfTheirDirection) {
    for (const Type first : {Type::heartbeat, Type::heartbeat_ack}) {
        Association sctp;
        EXPECT_EQ(sctp.client(first, 0xaaaa).verdict, TrackVerdict::accept);
        EXPECT_EQ(sctp.track.tags[0], Be32::from_host(0xaaaa));
        EXPECT_EQ(sctp.track.tags[1], Be32());
    }
    Association sctp;
    sctp.client(Type::heartbeat_ack, 0xaaaa);
    EXPECT_EQ(sctp.server(Type::abort, 0xaaaa), TrackResult::invalid(InvalidReason::sctp_tag));
    EXPECT_EQ(sctp.client(Type::abort, 0xaaaa).verdict, TrackVerdict::accept);

    // Of all others only a SHUTDOWN ACK tells one: that of its answer.
    for (const auto& [other, tag] : {std::pair(Type::shutdown, 0U), std::pair(Type::shutdown_ack, 0xaaaaU)}) {
        Association both;
        both.send(kOriginal, 0xaaaa, {chunk(other), chunk(Type::heartbeat)});
        EXPECT_EQ(both.track.tags[1], Be32::from_host(tag));
    }

    // What stands before it is judged without it.
    Association bundled;
    const TrackResult first =
        bundled.send(kOriginal, 0xaaaa, {chunk(Type::cookie_echo), chunk(Type::heartbeat_ack)});
    EXPECT_EQ(first, TrackResult::invalid(InvalidReason::sctp_tag));
}

// An association that began anew between the same ports: new tags are learnt from a heartbeat and its answer.
TEST(SctpTracker, HeartbeatsWithNewTags) {
    Association sctp;
    sctp.open();
    EXPECT_EQ(sctp.server(Type::heartbeat_ack, 0xbbbb).reason, InvalidReason::sctp_tag) << "not asked for";
    EXPECT_EQ(sctp.client(Type::heartbeat, 0xaaaa), TrackResult::keep());
    EXPECT_EQ(sctp.send(kOriginal, 0xaaaa, {chunk(Type::heartbeat), chunk(Type::data)}).reason,
              InvalidReason::sctp_tag);
    EXPECT_EQ(sctp.client(Type::heartbeat_ack, 0xaaaa).reason, InvalidReason::sctp_tag) << "own answer";
    EXPECT_EQ(sctp.server(Type::heartbeat_ack, 0xbbbb).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.server(Type::data, 0xbbbb).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.client(Type::heartbeat, 0xaaaa).verdict, TrackVerdict::accept);
    EXPECT_EQ(sctp.client(Type::data, 0xaaaa).verdict, TrackVerdict::accept);
}

TEST(SctpTracker, ClosingStates) {
    for (size_t place = 0; place < kSctpStates; ++place) {
        const auto state = static_cast<SctpState>(place);
        const bool closing = state == SctpState::shutdown_sent || state == SctpState::shutdown_recd ||
                             state == SctpState::shutdown_ack_sent;
        EXPECT_EQ(is_closing(state), closing) << to_string(state);
    }
}

}  // namespace
}  // namespace sluice::conntrack
