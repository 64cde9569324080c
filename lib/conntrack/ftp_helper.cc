#include "conntrack/ftp_helper.hh"

#include <algorithm>
#include <span>
#include <string_view>

namespace sluice::conntrack {
namespace {

bool is_digit(char letter) {
    return letter >= '0' && letter <= '9';
}

bool same_letters(std::string_view text, std::string_view pattern) {
    return std::ranges::equal(text, pattern, [](char a, char b) {
        return (a >= 'a' && a <= 'z' ? static_cast<char>(a - 'a' + 'A') : a) == b;
    });
}

// Decimal numbers with a separator between them, as many as there are in `numbers`. Letters read; 0 if that
// is not what stands there or the text ends before the letter behind the last number, which must be `end`
// unless that is 0.
size_t read_numbers(std::string_view text, std::span<uint32_t> numbers, char separator, char end) {
    size_t place = 0;
    for (size_t at = 0; at < text.size() && place < numbers.size(); ++at) {
        const char letter = text[at];
        if (is_digit(letter))
            numbers[place] = numbers[place] * 10 + static_cast<uint32_t>(letter - '0');
        else if (letter == separator)
            ++place;
        else
            return (letter == end || end == 0) && place == numbers.size() - 1 ? at : 0;
    }
    return 0;
}

Ip4Address address_of(std::span<const uint32_t> numbers) {
    return Ip4Address::from_host(numbers[0] << 24 | numbers[1] << 16 | numbers[2] << 8 | numbers[3]);
}

// "192,0,2,1,4,1". Letters read; 0 if it is not that.
size_t read_host_port(std::string_view text, char end, FtpAnnouncement& found) {
    std::array<uint32_t, 6> numbers{};
    const size_t length = read_numbers(text, numbers, ',', end);
    if (length == 0)
        return 0;
    found.address = address_of(numbers);
    found.port = static_cast<uint16_t>(numbers[4] << 8 | numbers[5]);
    return length;
}

// "6446|" at `from`. The place behind the delimiter; 0 if it is not that.
size_t read_port(std::string_view text, size_t from, char delimiter, uint16_t& port) {
    uint16_t number = 0;
    for (size_t at = from; at < text.size(); ++at) {
        if (text[at] == delimiter) {
            port = number;
            return number != 0 ? at + 1 : 0;
        }
        if (!is_digit(text[at]))
            return 0;
        number = static_cast<uint16_t>(number * 10 + (text[at] - '0'));
    }
    return 0;
}

bool can_delimit(char letter) {
    return !is_digit(letter) && letter >= 33 && letter <= 126;  // RFC 2428 2
}

// "|1|192.0.2.1|6275|"
size_t read_extended(std::string_view text, Family family, FtpAnnouncement& found) {
    if (text.size() <= 3 || !can_delimit(text[0]) || text[2] != text[0])
        return 0;
    if (text[1] != (family == Family::ip4 ? '1' : '2'))
        return 0;
    const auto rest = text.substr(3);
    size_t length = 0;
    if (family == Family::ip4) {
        std::array<uint32_t, 4> numbers{};
        length = read_numbers(rest, numbers, '.', text[0]);
        found.address = address_of(numbers);
    } else if (const size_t end = rest.find(text[0]); end != std::string_view::npos) {
        if (const auto address = Ip6Address::parse(rest.substr(0, end))) {
            found.address = *address;
            length = end;
        }
    }
    return length == 0 ? 0 : read_port(text, 3 + length + 1, text[0], found.port);
}

// "|||6446|"
size_t read_extended_passive(std::string_view text, FtpAnnouncement& found) {
    if (text.size() <= 3 || !can_delimit(text[0]) || text[1] != text[0] || text[2] != text[0])
        return 0;
    return read_port(text, 3, text[0], found.port);
}

struct Pattern {
    FtpCommand command;
    std::string_view text;
    char until;  // the numbers begin behind this letter; 0: at the first digit
};
constexpr std::array<std::array<Pattern, 2>, 2> kPatterns{{
    {{{FtpCommand::port, "PORT", ' '}, {FtpCommand::eprt, "EPRT", ' '}}},
    {{{FtpCommand::pasv, "227 ", 0}, {FtpCommand::epsv, "229 ", '('}}},
}};

FtpScan scan_for(const Pattern& pattern, std::string_view text, Family family, FtpAnnouncement& found) {
    if (text.size() <= pattern.text.size())
        return same_letters(text, pattern.text.substr(0, text.size())) ? FtpScan::partial : FtpScan::nothing;
    if (!same_letters(text.substr(0, pattern.text.size()), pattern.text))
        return FtpScan::nothing;
    size_t at = pattern.text.size();
    if (pattern.until != 0) {
        at = text.find(pattern.until, at);
        if (at >= text.size() - 1)
            return FtpScan::partial;
        ++at;
    } else {
        at = std::min(text.find_first_of("0123456789", at), text.size());
    }
    found.command = pattern.command;
    found.offset = at;
    const auto rest = text.substr(at);
    switch (pattern.command) {
        case FtpCommand::port:
            found.length = read_host_port(rest, '\r', found);
            break;
        case FtpCommand::eprt:
            found.length = read_extended(rest, family, found);
            break;
        case FtpCommand::pasv:
            found.length = read_host_port(rest, 0, found);
            break;
        case FtpCommand::epsv:
            found.length = read_extended_passive(rest, found);
            break;
    }
    return found.length != 0 ? FtpScan::found : FtpScan::partial;
}

}  // namespace

FtpScan scan_ftp(wire::Bytes payload, Family family, Direction direction, FtpAnnouncement& found) {
    const std::string_view text(reinterpret_cast<const char*>(payload.data()), payload.size());
    if (text.empty())
        return FtpScan::nothing;
    for (const auto& pattern : kPatterns[static_cast<size_t>(direction)]) {
        found = {};
        const auto result = scan_for(pattern, text, family, found);
        if (result != FtpScan::nothing)
            return result;
    }
    return FtpScan::nothing;
}

bool FtpLines::begins_line(Direction direction, uint32_t sequence) const {
    const auto way = static_cast<size_t>(direction);
    const auto known = std::span(begin_[way]).first(count_[way]);
    return std::ranges::find(known, sequence) != known.end();
}

void FtpLines::note(Direction direction, uint32_t sequence) {
    if (begins_line(direction, sequence))
        return;
    const auto way = static_cast<size_t>(direction);
    auto& begin = begin_[way];
    auto& count = count_[way];
    if (count < kKept) {
        begin[count++] = sequence;
        return;
    }
    auto& older = static_cast<int32_t>(begin[0] - begin[1]) < 0 ? begin[0] : begin[1];
    if (static_cast<int32_t>(sequence - older) > 0)
        older = sequence;
}

}  // namespace sluice::conntrack
