#include "nat/ftp_rewrite.hh"

#include <charconv>

namespace sluice::nat {

void FtpText::append_number(uint32_t number, int base) {
    std::array<char, 10> digits;
    const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number, base).ptr;
    for (const char* digit = digits.data(); digit != end; ++digit)
        append(*digit);
}

FtpText FtpText::of(conntrack::FtpCommand command, const Endpoint& endpoint) {
    using enum conntrack::FtpCommand;
    FtpText text;
    const uint32_t ip4 = endpoint.address.ip4().host();
    const auto append_ip4 = [&](char separator) {
        for (int shift = 24; shift >= 0; shift -= 8) {
            text.append_number(ip4 >> shift & 0xff);
            text.append(separator);
        }
    };
    switch (command) {
        case port:
        case pasv:
            if (endpoint.address.is_ip6())
                break;
            append_ip4(',');
            text.append_number(uint32_t{endpoint.port} >> 8);
            text.append(',');
            text.append_number(endpoint.port & 0xffU);
            break;
        case eprt: {
            text.append('|');
            text.append(endpoint.address.is_ip4() ? '1' : '2');
            text.append('|');
            if (endpoint.address.is_ip4()) {
                append_ip4('.');
                --text.size_;
            } else {
                // In full, as Linux writes it.
                const auto& bytes = endpoint.address.ip6().bytes();
                for (size_t at = 0; at < bytes.size(); ++at) {
                    if (at != 0 && at % 2 == 0)
                        text.append(':');
                    text.append_number(uint32_t{bytes[at]} >> 4, 16);
                    text.append_number(bytes[at] & 0xfU, 16);
                }
            }
            text.append('|');
            text.append_number(endpoint.port);
            text.append('|');
            break;
        }
        case epsv:
            for (int delimiter = 0; delimiter < 3; ++delimiter)
                text.append('|');
            text.append_number(endpoint.port);
            text.append('|');
            break;
    }
    return text;
}

}  // namespace sluice::nat
