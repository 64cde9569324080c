// Feeds files to LLVMFuzzerTestOneInput as ordinary tests, for builds without libFuzzer: the seeds of
// corpus/TARGET and the inputs of regression/TARGET that once did harm.
#include <gtest/gtest.h>

#include <algorithm>
#include <cctype>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <string>
#include <vector>

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size);

namespace {

class Inputs : public testing::TestWithParam<std::filesystem::path> {};

TEST_P(Inputs, do_no_harm) {
    std::ifstream file(GetParam(), std::ios::binary);
    ASSERT_TRUE(file) << GetParam();
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    EXPECT_EQ(LLVMFuzzerTestOneInput(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()), 0);
}

// All files below the folders that FUZZ_INPUTS names, which are separated by colons.
std::vector<std::filesystem::path> inputs() {
    std::vector<std::filesystem::path> found;
    std::string folders = FUZZ_INPUTS;
    std::ranges::replace(folders, ':', '\n');
    std::istringstream names(folders);
    for (std::string folder; std::getline(names, folder);) {
        if (std::filesystem::is_directory(folder)) {
            for (const auto& entry : std::filesystem::directory_iterator(folder)) {
                found.push_back(entry.path());
            }
        }
    }
    std::ranges::sort(found);
    return found;
}

std::string name_of(const testing::TestParamInfo<std::filesystem::path>& info) {
    std::string name = info.param.filename();
    std::ranges::replace_if(name, [](unsigned char c) { return std::isalnum(c) == 0; }, '_');
    return name + "_" + std::to_string(info.index);
}

GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(Inputs);
INSTANTIATE_TEST_SUITE_P(Kept, Inputs, testing::ValuesIn(inputs()), name_of);

TEST(Sizes, of_no_size_and_of_every_byte_do_no_harm) {
    EXPECT_EQ(LLVMFuzzerTestOneInput(nullptr, 0), 0);
    std::vector<uint8_t> bytes(256);
    for (size_t i = 0; i < bytes.size(); ++i) {
        bytes[i] = static_cast<uint8_t>(i);
    }
    for (size_t size = 1; size <= bytes.size(); ++size) {
        EXPECT_EQ(LLVMFuzzerTestOneInput(bytes.data(), size), 0);
    }
}

}  // namespace
