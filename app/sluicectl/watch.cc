// The commands that ask again and again.
#include <chrono>
#include <ostream>
#include <thread>

#include "sluicectl/commands.hh"
#include "sluicectl/rates.hh"

namespace sluice::sluicectl {
namespace {

namespace json = boost::json;
using Clock = std::chrono::steady_clock;

constexpr std::string_view kClearScreen = "\x1b[H\x1b[J";

double since(Clock::time_point then) {
    return std::chrono::duration<double>(Clock::now() - then).count();
}

void wait(double seconds) {
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds));
}

}  // namespace

int Commands::watch_drops(double interval, unsigned rounds) {
    int exit_code = kDone;
    if (json_) {
        for (unsigned round = 0; rounds == 0 || round < rounds; ++round) {
            if (round > 0)
                wait(interval);
            const auto body = fetch("GET", "/v1/drops", {}, exit_code);
            if (!body)
                return exit_code;
            console_.out << *body << std::flush;
        }
        return kDone;
    }
    auto before = fetch_json("/v1/drops", exit_code);
    auto then = Clock::now();
    for (unsigned round = 0; before && (rounds == 0 || round < rounds); ++round) {
        wait(interval);
        auto after = fetch_json("/v1/drops", exit_code);
        if (!after)
            break;
        console_.out << render_new_drops(*before, *after, since(then), look_) << std::flush;
        then = Clock::now();
        before = std::move(after);
    }
    return exit_code;
}

int Commands::top(double interval, bool once) {
    int exit_code = kDone;
    if (json_) {
        for (const std::string_view target : {"/v1/status", "/v1/interfaces", "/v1/workers", "/v1/drops"}) {
            const auto body = fetch("GET", target, {}, exit_code);
            if (!body)
                return exit_code;
            console_.out << *body;
        }
        return kDone;
    }
    const auto sample = [&]() -> Expected<Sample> {
        Sample result;
        for (const auto& [target, into] :
             {std::pair("/v1/status", &result.status), std::pair("/v1/interfaces", &result.interfaces),
              std::pair("/v1/workers", &result.workers), std::pair("/v1/drops", &result.drops)}) {
            auto answer = fetch_json(target, exit_code);
            if (!answer)
                return std::unexpected(std::move(answer.error()));
            *into = std::move(*answer);
        }
        return result;
    };
    const bool live = console_.terminal && !once;
    auto before = sample();
    auto then = Clock::now();
    if (before && live)
        console_.out << kClearScreen << render_top(*before, *before, 0, look_) << std::flush;
    while (before) {
        wait(interval);
        auto after = sample();
        if (!after)
            break;
        console_.out << (live ? kClearScreen : "") << render_top(*before, *after, since(then), look_)
                     << std::flush;
        if (!live)
            return kDone;
        then = Clock::now();
        before = std::move(after);
    }
    return exit_code;
}

}  // namespace sluice::sluicectl
