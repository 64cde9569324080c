// Writes the configuration reference (docs/configuration.md) from the declarations of all sections.
#include <iostream>

#include "config/reference.hh"
#include "sluice/config.hh"

int main() {
    std::cout << "# Configuration reference\n\n"
                 "Written from the declarations in the code by `build/app/config_reference`; `scripts/check` "
                 "compares.\n"
                 "Complete examples are in [conf/](../conf).\n\n";
    sluice::config::write_reference(std::cout, sluice::config::Schema<sluice::GatewayConfig>::get());
    return 0;
}
