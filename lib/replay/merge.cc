#include "replay/merge.hh"

#include <algorithm>
#include <tuple>
#include <utility>

namespace sluice::replay {

Expected<Input> Input::parse(std::string_view text) {
    const size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0 || equals + 1 == text.size()) {
        return fail("'" + std::string(text) + "' does not name an interface and a capture",
                    "write --in IFACE=CAPTURE, e.g. lan=lan.pcap");
    }
    return Input{std::string(text.substr(0, equals)), std::string(text.substr(equals + 1))};
}

Expected<Merge> Merge::open(const std::vector<Input>& inputs) {
    Merge merge;
    for (const Input& input : inputs) {
        auto reader = CaptureReader::open(input.capture);
        if (!reader) {
            return std::unexpected(std::move(reader.error()));
        }
        merge.sources_.push_back({.reader = std::move(*reader), .tally = {.interface = input.interface}});
    }
    return merge;
}

void Merge::read(Source& source) {
    source.delivered = false;
    auto next = source.reader.next();
    if (!next) {
        errors_.push_back(std::move(next.error()));
        source.ahead.reset();
        return;
    }
    source.ahead = *next;
    if (source.ahead) {
        source.ahead_set_right = source.ahead->time < source.clock;
        source.clock = std::max(source.ahead->time, source.clock);
        source.ahead->time = source.clock;
    }
}

Merge::Source* Merge::first() {
    for (Source& source : sources_) {
        if (source.delivered) {
            read(source);
        }
    }
    Source* result = nullptr;
    for (Source& source : sources_) {
        if (!source.ahead) {
            continue;
        }
        // Equal in both: the capture given first stays.
        if (result == nullptr || std::tie(source.ahead->time, source.tally.interface) <
                                     std::tie(result->ahead->time, result->tally.interface)) {
            result = &source;
        }
    }
    return result;
}

std::optional<Instant> Merge::next_time() {
    const Source* source = first();
    return source != nullptr ? std::optional(source->ahead->time) : std::nullopt;
}

std::optional<MergedFrame> Merge::next() {
    Source* source = first();
    if (source == nullptr) {
        return std::nullopt;
    }
    source->delivered = true;
    ++source->tally.frames;
    source->tally.short_frames += source->ahead->is_short() ? 1 : 0;
    source->tally.times_set_right += source->ahead_set_right ? 1 : 0;
    return MergedFrame{*source->ahead, static_cast<size_t>(source - sources_.data())};
}

std::vector<CaptureTally> Merge::tallies() const {
    std::vector<CaptureTally> result;
    for (const Source& source : sources_) {
        result.push_back(source.tally);
    }
    return result;
}

}  // namespace sluice::replay
