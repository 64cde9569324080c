// What changed between two answers of the API: for `top` and `drops --watch`.
#pragma once

#include <boost/json/value.hpp>
#include <string>

#include "sluicectl/render.hh"

namespace sluice::sluicectl {

// The answers `top` draws from.
struct Sample {
    boost::json::value status;
    boost::json::value interfaces;
    boost::json::value workers;
    boost::json::value drops;
};

// A screenful: rates over `seconds` between the samples. The same sample twice shows no rates but the state.
std::string render_top(const Sample& before, const Sample& after, double seconds, const Look& look);

// A line for each reason and interface that dropped packets between two answers to /v1/drops.
std::string render_new_drops(const boost::json::value& before, const boost::json::value& after,
                             double seconds, const Look& look);

}  // namespace sluice::sluicectl
