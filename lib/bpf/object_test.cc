// Object files, right and broken.
#include "bpf/object.hh"

#include <elf.h>
#include <gtest/gtest.h>

#include <array>
#include <cstring>

#include "bpf/assembler.hh"

namespace sluice::bpf {
namespace {

using namespace assembler;

// An object with one program of a call and a wide load, made as a compiler does.
class Object {
  public:
    Object() {
        const auto code = join({{call(-1)}, wide(2, 0), {set(0, 2), leave()}});
        for (const char* each : {"", ".strtab", "xdp", ".relxdp", ".symtab", "edge", "do_it", "a thing"})
            strings_ += std::string(each) + '\0';
        put(sizeof(Elf64_Ehdr));
        const size_t code_at = add(code.data(), code.size() * sizeof(code[0]));
        const Elf64_Rel relocations[] = {{0, ELF64_R_INFO(2UL, 10)}, {8, ELF64_R_INFO(3UL, 1)}};
        const size_t relocations_at = add(relocations, sizeof relocations);
        Elf64_Sym symbols[4]{};
        symbols[1] = symbol("edge", 2);
        symbols[2] = symbol("do_it", 0);
        symbols[3] = symbol("a thing", 0);
        const size_t symbols_at = add(symbols, sizeof symbols);
        const size_t strings_at = add(strings_.data(), strings_.size());
        sections[1] = section(".strtab", SHT_STRTAB, strings_at, strings_.size());
        sections[2] = section("xdp", SHT_PROGBITS, code_at, code.size() * 8);
        sections[2].sh_flags = SHF_ALLOC | SHF_EXECINSTR;
        sections[3] = section(".relxdp", SHT_REL, relocations_at, sizeof relocations);
        sections[3].sh_link = 4;
        sections[3].sh_info = 2;
        sections[4] = section(".symtab", SHT_SYMTAB, symbols_at, sizeof symbols);
        sections[4].sh_link = 1;
        relocations_ = relocations_at;
        symbols_ = symbols_at;
        header.e_shoff = bytes_.size();
        bytes_.resize(bytes_.size() + sizeof sections);
        std::memcpy(header.e_ident, ELFMAG, SELFMAG);
        header.e_ident[EI_CLASS] = ELFCLASS64;
        header.e_ident[EI_DATA] = ELFDATA2LSB;
        header.e_type = ET_REL;
        header.e_machine = EM_BPF;
        header.e_shentsize = sizeof(Elf64_Shdr);
        header.e_shnum = 5;
        header.e_shstrndx = 1;
    }

    // With what was changed in the members below.
    [[nodiscard]] std::vector<uint8_t> bytes() const {
        auto all = bytes_;
        std::memcpy(all.data(), &header, sizeof header);
        std::memcpy(all.data() + all.size() - sizeof sections, sections, sizeof sections);
        return all;
    }
    template <typename Change>
    void change_relocation(size_t place, Change&& change) {
        Elf64_Rel relocation;
        uint8_t* const at = bytes_.data() + relocations_ + place * sizeof relocation;
        std::memcpy(&relocation, at, sizeof relocation);
        change(relocation);
        std::memcpy(at, &relocation, sizeof relocation);
    }
    template <typename Change>
    void change_symbol(size_t place, Change&& change) {
        Elf64_Sym symbol;
        uint8_t* const at = bytes_.data() + symbols_ + place * sizeof symbol;
        std::memcpy(&symbol, at, sizeof symbol);
        change(symbol);
        std::memcpy(at, &symbol, sizeof symbol);
    }

    Elf64_Ehdr header{};
    Elf64_Shdr sections[5]{};

  private:
    void put(size_t count) { bytes_.resize(bytes_.size() + count); }
    size_t add(const void* data, size_t size) {
        const size_t at = bytes_.size();
        put(size);
        std::memcpy(bytes_.data() + at, data, size);
        return at;
    }
    [[nodiscard]] uint32_t name(const std::string& text) const {
        return static_cast<uint32_t>(strings_.find('\0' + text + '\0') + 1);
    }
    [[nodiscard]] Elf64_Sym symbol(const std::string& text, uint16_t section) const {
        return {.st_name = name(text),
                .st_info = 0,
                .st_other = 0,
                .st_shndx = section,
                .st_value = 0,
                .st_size = 0};
    }
    [[nodiscard]] Elf64_Shdr section(const std::string& text, uint32_t type, size_t at, size_t size) const {
        Elf64_Shdr made{};
        made.sh_name = name(text);
        made.sh_type = type;
        made.sh_offset = at;
        made.sh_size = size;
        return made;
    }
    std::string strings_;
    std::vector<uint8_t> bytes_;
    size_t relocations_ = 0;
    size_t symbols_ = 0;
};

std::string refusal(const Object& object, const char* section = "xdp") {
    const auto code = read_object(object.bytes(), section);
    return code ? "" : code.error().message;
}

TEST(Objects, GiveInstructionsAndReferences) {
    const auto code = read_object(Object().bytes(), "xdp");
    ASSERT_TRUE(code) << code.error().text();
    EXPECT_EQ(code->instructions.size(), 5);
    EXPECT_EQ(code->instructions.back(), leave());
    EXPECT_EQ(code->references, (std::vector<Reference>{{0, true, "do_it"}, {1, false, "a thing"}}));
}

TEST(Objects, TellTheSectionsTheyHave) {
    const auto code = read_object(Object().bytes(), "tc");
    EXPECT_EQ(code.error().text(), "there is no section 'tc' in the object (expected xdp)");
}

TEST(Objects, OfOtherMachinesAreRefused) {
    const auto with = [](auto change) {
        Object object;
        change(object.header);
        return refusal(object);
    };
    const std::string other = "this object is not for eBPF in little endian";
    EXPECT_EQ(with([](auto& header) { header.e_machine = EM_X86_64; }), other);
    EXPECT_EQ(with([](auto& header) { header.e_type = ET_EXEC; }), other);
    EXPECT_EQ(with([](auto& header) { header.e_ident[EI_CLASS] = ELFCLASS32; }), other);
    EXPECT_EQ(with([](auto& header) { header.e_ident[EI_DATA] = ELFDATA2MSB; }), other);
    EXPECT_EQ(with([](auto& header) { header.e_ident[1] = 'e'; }), "this is no ELF object");
    EXPECT_EQ(with([](auto& header) { header.e_shoff = UINT64_MAX - 8; }),
              "the object ends within its table of sections");
    EXPECT_NE(with([](auto& header) { header.e_shstrndx = 77; }), "");
}

TEST(Objects, WithDataOrFunctionsOfTheirOwnAreRefused) {
    Object object;
    object.change_symbol(3, [](Elf64_Sym& symbol) { symbol.st_shndx = 2; });
    EXPECT_EQ(refusal(object), "the program has data of its own 'a thing'");
    Object other;
    other.change_symbol(2, [](Elf64_Sym& symbol) { symbol.st_shndx = 2; });
    EXPECT_EQ(refusal(other), "the program calls a function of its own 'do_it'");
}

TEST(Objects, WithRelocationsThatDoNotFitAreRefused) {
    const auto with = [](auto change) {
        Object object;
        object.change_relocation(0, change);
        return refusal(object);
    };
    EXPECT_EQ(with([](auto& each) { each.r_offset = 40; }), "a relocation is outside the program");
    EXPECT_EQ(with([](auto& each) { each.r_offset = 4; }), "a relocation is outside the program");
    EXPECT_EQ(with([](auto& each) { each.r_offset = UINT64_MAX - 7; }),
              "a relocation is outside the program");
    EXPECT_EQ(with([](auto& each) { each.r_offset = 24; }), "a relocation does not fit its instruction");
    EXPECT_EQ(with([](auto& each) { each.r_info = ELF64_R_INFO(2UL, 1); }),
              "a relocation does not fit its instruction");
    EXPECT_EQ(with([](auto& each) { each.r_info = ELF64_R_INFO(99UL, 10); }),
              "a relocation names a symbol that is not there");
    Object twice;
    twice.change_relocation(1, [](auto& each) { each = {0, ELF64_R_INFO(2UL, 10)}; });
    EXPECT_EQ(refusal(twice), "an instruction refers to two symbols");
    Object nameless;
    nameless.change_symbol(2, [](Elf64_Sym& symbol) { symbol.st_name = 0xffff; });
    EXPECT_EQ(refusal(nameless), "a symbol has no name");
}

TEST(Objects, OfStrangeSizesAreRefused) {
    const auto with = [](auto change) {
        Object object;
        change(object.sections[2]);
        return refusal(object);
    };
    EXPECT_EQ(with([](auto& section) { section.sh_size = 39; }), "the section holds no instructions");
    EXPECT_EQ(with([](auto& section) { section.sh_size = 0; }), "the section holds no instructions");
    EXPECT_EQ(with([](auto& section) { section.sh_size = UINT64_MAX; }), "the section holds no instructions");
    EXPECT_EQ(with([](auto& section) { section.sh_offset = UINT64_MAX; }),
              "the section holds no instructions");
}

// Every byte of it cut off or changed: code or an error, within the memory.
TEST(Objects, ThatAreBrokenDoNoHarm) {
    const auto whole = Object().bytes();
    for (size_t size = 0; size < whole.size(); ++size) {
        const std::vector<uint8_t> cut(whole.begin(), whole.begin() + static_cast<ptrdiff_t>(size));
        EXPECT_FALSE(read_object(cut, "xdp")) << size;
    }
    size_t refused = 0;
    for (size_t at = 0; at < whole.size(); ++at) {
        for (const uint8_t value : std::array<uint8_t, 5>{0x00, 0x01, 0x7f, 0x80, 0xff}) {
            auto changed = whole;
            changed[at] = value;
            refused += read_object(changed, "xdp") ? 0 : 1;
        }
    }
    EXPECT_GT(refused, 100);
}

}  // namespace
}  // namespace sluice::bpf
