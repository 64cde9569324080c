#include "nat/sequence.hh"

#include "wire/checksum.hh"
#include "wire/tcp.hh"

namespace sluice::nat {
namespace {

constexpr size_t kSequence = 4;
constexpr size_t kAcknowledgment = 8;
constexpr size_t kChecksum = 16;
constexpr size_t kSackBlockSize = 8;

// Writes the number and takes note of it; at an odd place its bytes lie in the other halves of the words that
// are summed.
void exchange(wire::MutableBytes segment, size_t at, uint32_t value, wire::ChecksumDelta& delta) {
    const auto summed = [&](Be32 number) {
        return at % 2 == 0 ? number : Be32::from_host(number.host() << 8 | number.host() >> 24);
    };
    const Be32 after = Be32::from_host(value);
    delta.add(summed(Be32::load(segment.data() + at)), summed(after));
    after.store(segment.data() + at);
}

void acknowledge(wire::MutableBytes segment, size_t at, const SequenceOffset& offset,
                 wire::ChecksumDelta& delta) {
    const uint32_t number = wire::read32(segment.data() + at);
    exchange(segment, at, number - static_cast<uint32_t>(offset.at_receiver(number)), delta);
}

// False at a broken option.
bool acknowledge_sack(wire::MutableBytes segment, const wire::TcpView& tcp, const SequenceOffset& offset,
                      wire::ChecksumDelta& delta) {
    wire::TcpOptionWalk walk(tcp.options());
    while (const auto option = walk.next()) {
        const size_t size = option->bytes.size();
        if (option->type != wire::TcpOptionType::sack || (size - 2) % kSackBlockSize != 0)
            continue;
        const auto begin = static_cast<size_t>(option->bytes.data() - tcp.bytes().data());
        for (size_t at = begin + 2; at < begin + size; at += 4)
            acknowledge(segment, at, offset, delta);
    }
    return !walk.malformed();
}

}  // namespace

bool adjust_sequence(const wire::IpPacket& packet, wire::MutableBytes bytes, const SequenceOffsets& offsets,
                     conntrack::Direction direction) {
    const auto tcp = wire::TcpView::checked(packet.upper());
    if (!tcp)
        return false;
    const auto segment = bytes.subspan(packet.upper_offset());
    wire::ChecksumDelta delta;
    const uint32_t sequence = tcp->sequence();
    exchange(segment, kSequence, sequence + static_cast<uint32_t>(offsets.of(direction).at(sequence)), delta);
    if (tcp->flags().has(wire::kTcpAck)) {
        const SequenceOffset& acknowledged = offsets.of(opposite(direction));
        acknowledge(segment, kAcknowledgment, acknowledged, delta);
        if (!acknowledge_sack(segment, *tcp, acknowledged, delta))
            return false;
    }
    delta.apply(tcp->checksum()).store(segment.data() + kChecksum);
    return true;
}

}  // namespace sluice::nat
