// Fuzzes the readers of elements and of files of elements. The first byte chooses the type; what was read is
// written the same way again, and a set that was built from the lines holds the ends of every element.
//   meson setup build-fuzz -Dfuzz=true with CXX=clang++-19, then
//   set_fuzz -max_total_time=60 -max_len=1024 test/fuzz/corpus/set_fuzz
#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "sets/body_builder.hh"
#include "sets/element_lines.hh"
#include "sets/set.hh"

namespace {

using namespace sluice;
using namespace sluice::sets;

void require(bool truth) {
    if (!truth)
        __builtin_trap();
}

constexpr std::array<std::string_view, 8> kTypes{"ip",      "net",         "port",       "mac",
                                                 "ip,port", "net,port,ip", "mark,proto", "net,net"};

void check_reads_back(const SetType& type, const ElementValue& value) {
    const auto again = parse_element(type, format(type, value));
    require(again.has_value() && *again == value);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size == 0)
        return 0;
    const SetType type = *SetType::parse(kTypes[data[0] % kTypes.size()]);
    const std::string_view text(reinterpret_cast<const char*>(data + 1), size - 1);
    const Instant now{};
    SetOptions options;
    options.type = type;
    options.size = 64;
    Set set("fuzz", options, data[0], [](const std::function<void()>& fn) { fn(); });
    BodyBuilder builder = set.builder({});
    std::vector<ElementValue> values;
    for_each_line(text, [&](uint32_t number, std::string_view line) {
        const auto element = parse_line(type, line);
        if (!element) {
            require(!element.error().message.empty());
        } else if (*element) {
            check_reads_back(type, (*element)->value);
            if (builder.add(**element, number, now))
                values.push_back((*element)->value);
        }
        return true;
    });
    builder.finish();
    require(builder.added() <= options.size && builder.added() + builder.merged() == values.size());
    set.load(builder);
    const size_t before = set.element_count();
    for (const ElementValue& value : values)
        for (const auto& end : {value.low, value.high})
            require(
                set.contains(Fields::of_bytes(value.family, end.data(), type.key_bytes(value.family)), now));
    size_t listed = 0;
    SetCursor cursor;
    while (set.for_each(cursor, 5, now, [&](const ElementStatus& status) {
        check_reads_back(type, status.value);
        ++listed;
    })) {
    }
    require(listed == before);
    (void)parse_timeout(text);
    (void)SetType::parse(text);
    return 0;
}
