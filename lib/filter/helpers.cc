// Helpers on a packet's way out: what they find announced on a translated flow is announced as the other end
// can reach it, and the connection's numbers follow. What nf_nat_ftp, nf_nat_tftp and nf_confirm do.
#include <array>
#include <optional>

#include "conntrack/drops.hh"
#include "filter/stage.hh"
#include "nat/drops.hh"
#include "nat/ftp_rewrite.hh"
#include "nat/payload_rewrite.hh"
#include "nat/sequence.hh"
#include "wire/tcp.hh"

namespace sluice::filter {
namespace {

using pipeline::Verdict;
using routing::Context;
using routing::Passage;

wire::IpPacket packet_of(const Passage& passage) {
    const uint8_t* data = passage.packet.data();
    return data[0] >> 4 == 4 ? wire::IpPacket::of(wire::Ipv4View::unchecked(data))
                             : wire::IpPacket::of(wire::Ipv6View::unchecked(data));
}

// Whether the packet may have another length.
bool may_become(const Passage& passage, size_t size) {
    const size_t before = passage.packet.size();
    if (size == before)
        return true;
    if (passage.room < before || size > passage.room)
        return false;
    const bool can_be_cut =
        passage.packet[0] >> 4 == 4 && !wire::Ipv4View::unchecked(passage.packet.data()).dont_fragment();
    return passage.mtu == 0 || size <= passage.mtu || can_be_cut;
}

}  // namespace

Verdict Firewall::help(Context& context, Passage& passage) {
    const auto& tracked = passage.tracked;
    std::optional<conntrack::Announcement> announced;
    if (!tracker_.help(passage.tracked, packet_of(passage), context.worker.now, announced))
        return Verdict::drop(conntrack::drops::conntrack_protocol);
    if (announced && !announce(passage, *announced, context.worker.now)) {
        tracker_.unexpect(*tracked.flow);
        return Verdict::drop(nat::drops::nat_helper);
    }
    // What the box makes about a packet counts as the end does that it is for.
    if (tracked.flow == nullptr || !tracked.flow->status.has(conntrack::kSeqAdjust) ||
        passage.about != nullptr) [[likely]]
        return Verdict::next();
    const auto* offsets = tracker_.sequences().find(tracked.flow->id());
    const auto packet = packet_of(passage);
    if (offsets == nullptr || packet.protocol() != wire::IpProtocol::tcp)
        return Verdict::next();
    return nat::adjust_sequence(packet, passage.packet, *offsets, tracked.direction)
               ? Verdict::next()
               : Verdict::drop(nat::drops::nat_rewrite);
}

bool Firewall::announce(Passage& passage, const conntrack::Announcement& found, Instant now) {
    if (translator_ == nullptr)
        return false;
    auto expectation = found.expectation;
    const auto comes_home = [&] { return homes_ == nullptr || homes_->expects(expectation, now); };
    if (!found.in_payload)
        return tracker_.expect(expectation, now) && comes_home();
    const auto& translation = *expectation.translation;
    const nat::Endpoint inside{translation.destination, translation.destination_port};
    const IpAddress external = expectation.tuple.destination();
    const auto may_use = [&](uint16_t port) {
        if (external != inside.address &&
            !translator_->may_expect({external, port}, inside, wire::IpProtocol::tcp))
            return false;
        expectation.tuple.dport = port;
        return tracker_.expect(expectation, now);
    };
    // What is repeated is announced as it was.
    const auto* known = tracker_.expectation_of(*passage.tracked.flow);
    std::optional<uint16_t> port;
    if (known != nullptr && known->translation && known->translation->destination_port == inside.port &&
        may_use(known->tuple.dport))
        port = expectation.tuple.dport;
    if (!port)
        port = translator_->choose_announced_port(inside.port, may_use);
    return port && comes_home() && write_text(passage, found.text, {external, *port});
}

bool Firewall::write_text(Passage& passage, const conntrack::FtpAnnouncement& found,
                          const nat::Endpoint& announced) {
    const auto packet = packet_of(passage);
    const auto text = nat::FtpText::of(found.command, announced);
    std::array<uint8_t, UINT16_MAX> changed;
    const size_t size = text.bytes().empty() ? 0
                                             : nat::replace_tcp_payload(packet, found.offset, found.length,
                                                                        text.bytes(), changed);
    if (size == 0 || !may_become(passage, size))
        return false;
    auto& flow = *passage.tracked.flow;
    if (size != packet.length()) {
        auto* const offsets = tracker_.sequences().open(flow.id());
        if (offsets == nullptr)
            return false;
        const uint32_t sequence = wire::TcpView::unchecked(packet.upper()).sequence();
        offsets->of(passage.tracked.direction)
            .change(sequence, static_cast<int32_t>(size) - static_cast<int32_t>(packet.length()));
        flow.status.set(conntrack::kSeqAdjust);
    }
    passage.packet = {passage.packet.data(), size};
    wire::copy_bytes(passage.packet.data(), wire::Bytes(changed).first(size));
    return true;
}

}  // namespace sluice::filter
