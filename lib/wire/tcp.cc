#include "wire/tcp.hh"

namespace sluice::wire {

namespace {

constexpr size_t padded(size_t size) {
    return (size + 3) / 4 * 4;
}

}  // namespace

TcpOptions TcpOptions::parse(Bytes options) {
    TcpOptions result;
    TcpOptionWalk walk(options);
    while (const auto option = walk.next()) {
        const Bytes bytes = option->bytes;
        switch (option->type) {
            case TcpOptionType::mss:
                if (bytes.size() == 4) {
                    result.mss = read16(bytes.data() + 2);
                }
                break;
            case TcpOptionType::window_scale:
                if (bytes.size() == 3) {
                    result.window_scale = bytes[2];
                }
                break;
            case TcpOptionType::sack_permitted:
                result.sack_permitted |= bytes.size() == 2;
                break;
            case TcpOptionType::sack:
                if (bytes.size() % 8 == 2 && bytes.size() <= 34) {
                    result.sack = {};
                    result.sack_count = static_cast<uint8_t>(bytes.size() / 8);
                    for (size_t block = 0; block < result.sack_count; ++block) {
                        const uint8_t* data = bytes.data() + 2 + block * 8;
                        result.sack.at(block) = {read32(data), read32(data + 4)};
                    }
                }
                break;
            case TcpOptionType::timestamps:
                if (bytes.size() == 10) {
                    result.timestamps = {read32(bytes.data() + 2), read32(bytes.data() + 6)};
                }
                break;
            default:
                break;
        }
    }
    return result;
}

size_t TcpOptions::size() const {
    return padded((mss ? 4U : 0U) + (window_scale ? 3U : 0U) + (sack_permitted ? 2U : 0U) +
                  (timestamps ? 10U : 0U) + (sack_count != 0 ? 2U + sack_count * 8U : 0U));
}

size_t TcpOptions::emit(MutableBytes to) const {
    if (to.size() < size()) {
        return 0;
    }
    size_t at = 0;
    const auto begin = [&](TcpOptionType type, size_t length) {
        uint8_t* data = to.data() + at;
        data[0] = static_cast<uint8_t>(type);
        data[1] = static_cast<uint8_t>(length);
        at += length;
        return data + 2;
    };
    if (mss) {
        write16(begin(TcpOptionType::mss, 4), *mss);
    }
    if (sack_permitted) {
        begin(TcpOptionType::sack_permitted, 2);
    }
    if (timestamps) {
        uint8_t* data = begin(TcpOptionType::timestamps, 10);
        write32(data, timestamps->value);
        write32(data + 4, timestamps->echo);
    }
    if (window_scale) {
        *begin(TcpOptionType::window_scale, 3) = *window_scale;
    }
    if (sack_count != 0) {
        uint8_t* data = begin(TcpOptionType::sack, 2 + size_t{sack_count} * 8);
        for (size_t block = 0; block < sack_count; ++block) {
            write32(data + block * 8, sack.at(block).left);
            write32(data + block * 8 + 4, sack.at(block).right);
        }
    }
    while (at < size()) {
        to[at++] = static_cast<uint8_t>(TcpOptionType::end);
    }
    return at;
}

TcpHeader TcpHeader::parse(TcpView view) {
    return {view.source_port(),
            view.destination_port(),
            view.sequence(),
            view.acknowledgment(),
            view.flags(),
            view.window(),
            view.checksum(),
            view.urgent_pointer(),
            TcpOptions::parse(view.options())};
}

size_t TcpHeader::emit(MutableBytes to) const {
    const size_t length = size();
    if (to.size() < length || length > kTcpMaxHeaderSize) {
        return 0;
    }
    uint8_t* data = to.data();
    write16(data, source_port);
    write16(data + 2, destination_port);
    write32(data + 4, sequence);
    write32(data + 8, acknowledgment);
    data[12] = static_cast<uint8_t>(length / 4 << 4);
    data[13] = flags.bits();
    write16(data + 14, window);
    checksum.store(data + 16);
    write16(data + 18, urgent_pointer);
    options.emit(to.subspan(kTcpHeaderSize));
    return length;
}

}  // namespace sluice::wire
