// Fuzzes the configuration reader: any text gives a value or located problems, and a value that was read
// prints as YAML and JSON that read as the same value. Links lib/config/example.cc for a schema with every
// kind of member.
//   meson setup build-fuzz -Dfuzz=true with CXX=clang++-19, then
//   yaml_fuzz -max_total_time=60 -max_len=4096 test/fuzz/corpus/yaml_fuzz
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "config/document.hh"
#include "config/example.hh"
#include "config/print.hh"

namespace {

using sluice::config::example::Everything;

void check(bool holds, const char* what, const std::string& text) {
    if (holds)
        return;
    std::fprintf(stderr, "%s:\n%s\n", what, text.c_str());
    std::abort();
}

void check_reads_back(const std::string& printed, const Everything& value) {
    const auto again = sluice::config::read_text<Everything>("printed", printed, "/");
    check(again.has_value(), "what was printed is refused", again ? printed : again.error().text() + printed);
    check(*again == value, "what was printed means something else", printed);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto value = sluice::config::read_text<Everything>("fuzz", text, "/");
    if (!value) {
        check(!value.error().empty(), "refused without a problem", std::string(text));
        for (const auto& problem : value.error())
            check(problem.text().find('\n') == std::string::npos, "a problem of several lines",
                  problem.text());
        return 0;
    }
    check_reads_back(sluice::config::to_yaml(*value), *value);
    check_reads_back(sluice::config::to_json(*value), *value);
    return 0;
}
