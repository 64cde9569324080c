#include <cstring>

#include "wire/icmp4.hh"
#include "wire/icmp6.hh"

namespace sluice::wire {

namespace {

// All but the checksum, which is left zero.
template <typename Message>
size_t emit_plain(const Message& message, MutableBytes to) {
    if (to.size() < message.size()) {
        return 0;
    }
    to[0] = static_cast<uint8_t>(message.type);
    to[1] = message.code;
    write16(to.data() + 2, 0);
    write32(to.data() + 4, message.word);
    if (!message.body.empty()) {
        std::memmove(to.data() + kIcmpHeaderSize, message.body.data(), message.body.size());
    }
    return message.size();
}

}  // namespace

size_t Icmp4Message::emit(MutableBytes to) const {
    const size_t size = emit_plain(*this, to);
    if (size != 0) {
        wire::checksum(to.first(size)).store(to.data() + 2);
    }
    return size;
}

size_t Icmp6Message::emit(MutableBytes to, const Ip6Address& source, const Ip6Address& destination) const {
    const size_t size = emit_plain(*this, to);
    if (size != 0) {
        set_icmp6_checksum(to.first(size), source, destination);
    }
    return size;
}

}  // namespace sluice::wire
