// The listening socket of the metrics.
#pragma once

#include "base/error.hh"
#include "config/quantity.hh"

namespace sluice::admin {

// A listening, non-blocking TCP socket; the descriptor is the caller's. Port 0 lets the system choose one.
Expected<int> listen_tcp(const config::Endpoint& where);

}  // namespace sluice::admin
