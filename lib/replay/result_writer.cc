#include "replay/result_writer.hh"

#include <algorithm>
#include <span>
#include <system_error>
#include <utility>

#include "replay/json_text.hh"

namespace sluice::replay {

namespace {

constexpr std::string_view kDigits = "0123456789abcdef";

void append_hex(std::string& to, std::span<const uint8_t> bytes) {
    to.reserve(to.size() + 2 * bytes.size());
    for (const uint8_t byte : bytes) {
        to += kDigits[byte >> 4];
        to += kDigits[byte & 0xf];
    }
}

Expected<void> write_file(const std::filesystem::path& path, std::string_view text) {
    auto file = OutputFile::create(path);
    if (!file) {
        return std::unexpected(std::move(file.error()));
    }
    file->write(text);
    return file->close();
}

}  // namespace

ResultWriter::ResultWriter(std::filesystem::path directory, OutputFile packets, std::vector<Port> ports)
    : directory_(std::move(directory)), packets_(std::move(packets)), ports_(std::move(ports)) {}

Expected<ResultWriter> ResultWriter::create(const std::filesystem::path& directory,
                                            const std::vector<Dataplane::Interface>& interfaces) {
    std::error_code problem;
    std::filesystem::create_directories(directory, problem);
    if (problem) {
        return fail("cannot make the directory " + directory.string() + ": " + problem.message(),
                    "name a directory you may write to with --out");
    }
    auto packets = OutputFile::create(directory / "packets.jsonl");
    if (!packets) {
        return std::unexpected(std::move(packets.error()));
    }
    std::vector<Port> ports;
    for (const Dataplane::Interface& interface : interfaces) {
        auto capture = CaptureWriter::create(directory / (interface.name + ".pcap"));
        if (!capture) {
            return std::unexpected(std::move(capture.error()));
        }
        ports.push_back({interface, std::move(*capture)});
    }
    return ResultWriter(directory, std::move(*packets), std::move(ports));
}

ResultWriter::Port& ResultWriter::port_of(InterfaceId id) {
    return *std::ranges::find(ports_, id, [](const Port& port) { return port.interface.id; });
}

void ResultWriter::append_words(const Outcome& outcome) {
    line_ += ",\"reason\":";
    append_string_or_null(line_, outcome.reason);
    line_ += ",\"hook\":";
    append_string_or_null(line_, outcome.hook);
    line_ += ",\"rule\":";
    append_string_or_null(line_, outcome.rule);
    line_ += ",\"ct_state\":";
    append_string_or_null(line_, outcome.ct_state);
}

void ResultWriter::append_outputs(Instant time, const std::vector<Output>& outputs) {
    line_ += ",\"out\":[";
    for (const Output& output : outputs) {
        Port& port = port_of(output.interface);
        port.capture.write(time, output.frame);
        line_ += &output == outputs.data() ? "{\"interface\":" : ",{\"interface\":";
        append_string(line_, port.interface.name);
        line_ += ",\"frame\":\"";
        append_hex(line_, output.frame);
        line_ += "\"}";
    }
    line_ += "]}\n";
}

void ResultWriter::packet(uint64_t n, Instant time, std::string_view in, const Outcome& outcome) {
    line_ = "{\"n\":" + std::to_string(n) + ",\"time\":";
    append_time(line_, time);
    line_ += ",\"in\":";
    append_string(line_, in);
    line_ += ",\"verdict\":";
    append_string(line_, to_string(outcome.verdict));
    append_words(outcome);
    append_outputs(time, outcome.outputs);
    packets_.write(line_);
}

void ResultWriter::timer(const TimerOutcome& caused) {
    line_ = "{\"n\":null,\"time\":";
    append_time(line_, caused.time);
    line_ += ",\"in\":null,\"verdict\":";
    append_string_or_null(line_, caused.verdict ? to_string(*caused.verdict) : std::string_view());
    append_words(caused.outcome);
    append_outputs(caused.time, caused.outcome.outputs);
    packets_.write(line_);
}

namespace {

// A list as the admin API gives it, one item a line.
std::string listed(const std::vector<std::string>& items) {
    std::string text = "{\"items\":[";
    for (const std::string& item : items) {
        text += (text.back() == '[' ? "\n" : ",\n") + item;
    }
    return text + "],\"total\":" + std::to_string(items.size()) + "}\n";
}

}  // namespace

Expected<void> ResultWriter::finish(const Summary& summary, const std::vector<std::string>& flows,
                                    const std::vector<std::string>& rules) {
    if (auto closed = packets_.close(); !closed) {
        return closed;
    }
    for (Port& port : ports_) {
        if (auto closed = port.capture.close(); !closed) {
            return closed;
        }
    }
    if (auto written = write_file(directory_ / "conntrack.json", listed(flows)); !written) {
        return written;
    }
    if (auto written = write_file(directory_ / "rules.json", listed(rules)); !written) {
        return written;
    }
    return write_file(directory_ / "summary.json", summary.to_json());
}

}  // namespace sluice::replay
