#include "routing/local.hh"
#include "wire/tcp.hh"

namespace sluice::routing {

size_t build_reset(wire::Bytes segment, const IpAddress& source, const IpAddress& destination,
                   wire::MutableBytes to) {
    const auto refused = wire::TcpView::unchecked(segment);
    if (refused.flags().has(wire::kTcpRst))
        return 0;
    wire::TcpHeader reset;
    reset.source_port = refused.destination_port();
    reset.destination_port = refused.source_port();
    if (refused.flags().has(wire::kTcpAck)) {
        reset.sequence = refused.acknowledgment();
        reset.flags = wire::kTcpRst;
    } else {
        const bool counts_syn = refused.flags().has(wire::kTcpSyn);
        const bool counts_fin = refused.flags().has(wire::kTcpFin);
        reset.acknowledgment = static_cast<uint32_t>(refused.sequence() + refused.payload().size() +
                                                     (counts_syn ? 1 : 0) + (counts_fin ? 1 : 0));
        reset.flags = wire::kTcpRst | wire::kTcpAck;
    }
    const size_t written = reset.emit(to);
    const auto length = static_cast<uint16_t>(written);
    const auto pseudo =
        source.is_ip4() ? wire::pseudo_header(source.ip4(), destination.ip4(), wire::IpProtocol::tcp, length)
                        : wire::pseudo_header(source.ip6(), destination.ip6(), wire::IpProtocol::tcp, length);
    wire::set_tcp_checksum(to.first(written), pseudo);
    return written;
}

}  // namespace sluice::routing
