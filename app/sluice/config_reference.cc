// Writes the configuration reference (docs/configuration.md) from the declarations of all sections.
#include <iostream>

#include "config/reference.hh"
#include "sluice/config.hh"

int main() {
    sluice::config::write_reference(std::cout, sluice::config::Schema<sluice::GatewayConfig>::get());
    return 0;
}
