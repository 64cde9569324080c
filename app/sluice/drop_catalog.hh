// Every reason to drop a packet, of all folders.
#pragma once

#include "telemetry/drop_reason.hh"

namespace sluice {

telemetry::DropCatalog drop_catalog();

}  // namespace sluice
