// What Tracker does for helpers: reads payloads and expects what they announce.
#include "conntrack/ftp_helper.hh"
#include "conntrack/tftp_helper.hh"
#include "conntrack/tracker.hh"
#include "wire/tcp.hh"
#include "wire/udp.hh"

namespace sluice::conntrack {
namespace {

// A data connection comes from the other end to where the sender of the announcement said it listens. If that
// is not the sender itself nothing is expected: whoever speaks FTP must not open ways to others.
std::optional<Expectation> expected_by(const Flow& flow, Direction direction, const FtpAnnouncement& found) {
    const auto there = flow.tuple(opposite(direction));
    if (found.address && *found.address != flow.tuple(direction).source())
        return std::nullopt;
    return Expectation{
        .tuple = Tuple(there.source(), there.destination(), wire::IpProtocol::tcp, 0, found.port),
        .master_id = flow.id(),
        .mark = flow.mark};
}

}  // namespace

// What NAT does to the flow is done to what it announces.
bool Tracker::announce(const Flow& flow, const Announcement& found, Direction direction, Instant now,
                       std::optional<Announcement>& announcement) {
    if (!flow.status.has_any(kSnat | kDnat))
        return expect(found.expectation, now);
    announcement = found;
    const auto here = flow.tuple(direction);
    announcement->expectation.translation =
        ExpectedTranslation{.destination = here.source(),
                            .destination_port = flow.helper() == Helper::tftp ? here.sport : found.text.port,
                            .source = here.destination()};
    return true;
}

bool Tracker::read(const Tracked& tracked, const wire::IpPacket& packet, Instant now,
                   std::optional<Announcement>& announcement) {
    Flow& flow = *tracked.flow;
    if (flow.is_dying() || packet.protocol() != flow.protocol())
        return true;
    if (flow.helper() == Helper::tftp) {
        const auto udp = wire::UdpView::checked(packet.upper());
        if (!udp || !is_tftp_request(udp->payload()))
            return true;
        const auto answer = flow.tuple(Direction::reply);
        const Expectation expectation{
            .tuple = Tuple(answer.source(), answer.destination(), wire::IpProtocol::udp, 0, answer.dport),
            .master_id = flow.id(),
            .mark = flow.mark};
        return announce(flow, {.expectation = expectation}, Direction::original, now, announcement);
    }
    // Until there has been traffic both ways nothing is announced.
    if (tracked.state != CtState::established)
        return true;
    const auto tcp = wire::TcpView::checked(packet.upper());
    if (!tcp || tcp->payload().empty())
        return true;
    const auto payload = tcp->payload();
    auto* const lines = ftp_lines_.find(flow.id());
    if (lines == nullptr)
        return true;
    if (lines->begins_line(tracked.direction, tcp->sequence())) {
        FtpAnnouncement found;
        switch (scan_ftp(payload, flow.family(), tracked.direction, found)) {
            case FtpScan::partial:
                return false;
            case FtpScan::found:
                if (const auto expectation = expected_by(flow, tracked.direction, found);
                    expectation &&
                    !announce(flow, {.expectation = *expectation, .text = found, .in_payload = true},
                              tracked.direction, now, announcement))
                    return false;
                break;
            case FtpScan::nothing:
                break;
        }
    }
    if (payload.back() == '\n')
        lines->note(tracked.direction, tcp->sequence() + static_cast<uint32_t>(payload.size()));
    return true;
}

}  // namespace sluice::conntrack
