// A result file: written once, whole, with every error noticed.
#pragma once

#include <cstdint>
#include <filesystem>
#include <fstream>
#include <span>
#include <string_view>

#include "base/error.hh"

namespace sluice::replay {

class OutputFile {
  public:
    static Expected<OutputFile> create(std::filesystem::path path);  // replaces an older file

    void write(std::string_view text) {
        stream_.write(text.data(), static_cast<std::streamsize>(text.size()));
    }
    void write(std::span<const uint8_t> bytes) {
        write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
    }
    // Reports what any write could not do, e.g. because the disk is full.
    Expected<void> close();

  private:
    OutputFile(std::filesystem::path path, std::ofstream stream);
    std::filesystem::path path_;
    std::ofstream stream_;
};

}  // namespace sluice::replay
