#include "replay/driver.hh"

#include <algorithm>
#include <charconv>
#include <string>
#include <utility>

#include "replay/result_writer.hh"

namespace sluice::replay {

namespace {

constexpr double kLongestUntil = 100.0 * 365 * 24 * 3600;

// The packet path's number of every input's interface.
Expected<std::vector<InterfaceId>> interfaces_of(const std::vector<Input>& inputs,
                                                 const std::vector<Dataplane::Interface>& known) {
    std::vector<InterfaceId> result;
    for (const Input& input : inputs) {
        const auto found = std::ranges::find(known, input.interface, &Dataplane::Interface::name);
        if (found == known.end()) {
            std::string names;
            for (const auto& interface : known) {
                names += (names.empty() ? "" : ", ") + interface.name;
            }
            return fail("the configuration has no device interface '" + input.interface + "'",
                        "frames may enter by: " + names);
        }
        result.push_back(found->id);
    }
    return result;
}

// One run: the packet path, the results, and what is counted on the way.
class Run {
  public:
    Run(Dataplane& dataplane, ResultWriter& results, const std::vector<Dataplane::Interface>& interfaces)
        : dataplane_(dataplane), results_(results) {
        for (const auto& interface : interfaces) {
            tallies_.push_back({interface.id, {.name = interface.name}});
        }
    }

    void start(Instant time) {
        summary_.first = time;
        summary_.last = time;
    }

    Expected<void> advance(Instant now) {
        caused_.clear();
        if (auto done = dataplane_.advance(now, caused_); !done) {
            return done;
        }
        for (const TimerOutcome& each : caused_) {
            results_.timer(each);
            if (each.verdict) {
                ++summary_.verdicts[static_cast<size_t>(*each.verdict)];
            }
            count_outputs(each.outcome);
        }
        summary_.last = now;
        return {};
    }

    void inject(InterfaceId interface, const CapturedFrame& frame) {
        const Outcome outcome = dataplane_.inject(interface, frame.bytes, frame.time);
        InterfaceTally& in = tally_of(interface);
        ++in.rx_packets;
        in.rx_bytes += frame.bytes.size();
        ++summary_.verdicts[static_cast<size_t>(outcome.verdict)];
        count_outputs(outcome);
        results_.packet(++frames_, frame.time, in.name, outcome);
    }

    Summary finish(std::vector<CaptureTally> captures) {
        summary_.packets = dataplane_.totals();
        summary_.drops = dataplane_.drops();
        summary_.counters = dataplane_.counters();
        summary_.captures = std::move(captures);
        for (auto& [id, tally] : tallies_) {
            summary_.interfaces.push_back(std::move(tally));
        }
        std::ranges::sort(summary_.interfaces, {}, &InterfaceTally::name);
        return std::move(summary_);
    }

  private:
    InterfaceTally& tally_of(InterfaceId id) {
        return std::ranges::find(tallies_, id, &std::pair<InterfaceId, InterfaceTally>::first)->second;
    }
    void count_outputs(const Outcome& outcome) {
        for (const Output& output : outcome.outputs) {
            InterfaceTally& out = tally_of(output.interface);
            ++out.tx_packets;
            out.tx_bytes += output.frame.size();
        }
    }

    Dataplane& dataplane_;
    ResultWriter& results_;
    std::vector<std::pair<InterfaceId, InterfaceTally>> tallies_;
    std::vector<TimerOutcome> caused_;
    Summary summary_;
    uint64_t frames_ = 0;
};

}  // namespace

Expected<Duration> parse_until(std::string_view text) {
    double value = 0;
    const auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (problem != std::errc() || end != text.data() + text.size() ||
        !(value >= 0 && value <= kLongestUntil)) {
        return fail("'" + std::string(text) + "' is no time to end at",
                    "--until takes seconds after the first frame, e.g. 30 or 0.5, at most 100 years");
    }
    return std::chrono::duration_cast<Duration>(std::chrono::duration<double>(value));
}

Expected<ReplayResult> replay(const ReplayOptions& options, Dataplane& dataplane) {
    const std::vector<Dataplane::Interface> interfaces = dataplane.interfaces();
    const auto entries = interfaces_of(options.inputs, interfaces);
    if (!entries) {
        return std::unexpected(entries.error());
    }
    auto frames = Merge::open(options.inputs);
    if (!frames) {
        return std::unexpected(std::move(frames.error()));
    }
    const std::optional<Instant> start = frames->next_time();
    if (auto begun = dataplane.begin(start.value_or(Instant())); !begun) {
        return std::unexpected(std::move(begun.error()));
    }
    auto results = ResultWriter::create(options.output_directory, interfaces);
    if (!results) {
        return std::unexpected(std::move(results.error()));
    }

    Run run(dataplane, *results, interfaces);
    run.start(start.value_or(Instant()));
    const Instant end = start && options.until ? *start + *options.until : Instant::max();
    for (auto time = start; time && *time <= end; time = frames->next_time()) {
        const auto next = frames->next();
        if (auto done = run.advance(*time); !done) {
            return std::unexpected(std::move(done.error()));
        }
        run.inject((*entries)[next->input], next->frame);
    }
    if (start && options.until) {
        if (auto done = run.advance(end); !done) {
            return std::unexpected(std::move(done.error()));
        }
    }
    ReplayResult result{run.finish(frames->tallies()), frames->errors()};
    if (auto written = results->finish(result.summary, dataplane.flows(), dataplane.rules()); !written) {
        return std::unexpected(std::move(written.error()));
    }
    return result;
}

}  // namespace sluice::replay
