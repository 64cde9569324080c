// sluicectl: the operator's tool. Talks to the admin socket only.
#include <unistd.h>

#include <cstdlib>
#include <exception>
#include <iostream>

#include "sluicectl/cli.hh"

int main(int argc, char** argv) {
    const bool terminal = isatty(STDOUT_FILENO) != 0;
    const bool colours = terminal && std::getenv("NO_COLOR") == nullptr;
    try {
        return sluice::sluicectl::run({argv + 1, argv + argc},
                                      {std::cin, std::cout, std::cerr, terminal, colours});
    } catch (const std::exception& exception) {
        std::cerr << "sluicectl: " << exception.what() << '\n';
        return sluice::sluicectl::kRefused;
    }
}
