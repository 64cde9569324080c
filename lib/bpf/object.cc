#include "bpf/object.hh"

#include <elf.h>

#include <algorithm>
#include <cstring>
#include <optional>

namespace sluice::bpf {
namespace {

constexpr uint32_t kWideReference = 1;   // R_BPF_64_64
constexpr uint32_t kCallReference = 10;  // R_BPF_64_32
constexpr const char* kCompileHint = "expected what clang -O2 -target bpf -c makes";

// Tables of fixed records at places the file names: everything is looked up in bounds.
class Elf {
  public:
    explicit Elf(std::span<const uint8_t> bytes) : bytes_(bytes) {}

    Expected<void> open() {
        if (!read(0, header_) || std::memcmp(header_.e_ident, ELFMAG, SELFMAG) != 0)
            return fail("this is no ELF object", kCompileHint);
        const bool is_ours = header_.e_ident[EI_CLASS] == ELFCLASS64 &&
                             header_.e_ident[EI_DATA] == ELFDATA2LSB && header_.e_type == ET_REL &&
                             header_.e_machine == EM_BPF && header_.e_shentsize == sizeof(Elf64_Shdr);
        if (!is_ours)
            return fail("this object is not for eBPF in little endian", kCompileHint);
        for (size_t i = 0; i < header_.e_shnum; ++i) {
            Elf64_Shdr section;
            if (!read_record(header_.e_shoff, i, section))
                return fail("the object ends within its table of sections", kCompileHint);
            sections_.push_back(section);
        }
        return {};
    }

    [[nodiscard]] const std::vector<Elf64_Shdr>& sections() const { return sections_; }
    [[nodiscard]] std::optional<std::string_view> section_name(const Elf64_Shdr& section) const {
        return text(header_.e_shstrndx, section.sh_name);
    }

    // The content of a section; nothing if it is not within the file.
    [[nodiscard]] std::optional<std::span<const uint8_t>> content(const Elf64_Shdr& section) const {
        if (section.sh_type == SHT_NOBITS || section.sh_offset > bytes_.size() ||
            section.sh_size > bytes_.size() - section.sh_offset)
            return std::nullopt;
        return bytes_.subspan(section.sh_offset, section.sh_size);
    }

    [[nodiscard]] std::optional<std::string_view> text(size_t table, size_t at) const {
        if (table >= sections_.size())
            return std::nullopt;
        const auto strings = content(sections_[table]);
        if (!strings || at >= strings->size())
            return std::nullopt;
        const auto rest = strings->subspan(at);
        const auto end = std::ranges::find(rest, 0);
        if (end == rest.end())
            return std::nullopt;
        return std::string_view(reinterpret_cast<const char*>(rest.data()),
                                static_cast<size_t>(end - rest.begin()));
    }

    // Record `index` of a section that is a table of such.
    template <typename Record>
    [[nodiscard]] bool record(const Elf64_Shdr& section, size_t index, Record& into) const {
        const auto table = content(section);
        if (!table || index >= table->size() / sizeof(Record))
            return false;
        std::memcpy(&into, table->data() + index * sizeof(Record), sizeof(Record));
        return true;
    }

  private:
    template <typename Record>
    bool read(uint64_t at, Record& into) const {
        if (at > bytes_.size() || bytes_.size() - at < sizeof(Record))
            return false;
        std::memcpy(&into, bytes_.data() + at, sizeof(Record));
        return true;
    }
    template <typename Record>
    bool read_record(uint64_t table, size_t index, Record& into) const {
        return table <= bytes_.size() && read(table + index * sizeof(Record), into);
    }

    std::span<const uint8_t> bytes_;
    Elf64_Ehdr header_{};
    std::vector<Elf64_Shdr> sections_;
};

// The sections a program could be in, for people who look for theirs.
std::string code_sections(const Elf& elf) {
    std::string names;
    for (const auto& section : elf.sections()) {
        const auto name = elf.section_name(section);
        const bool is_code = section.sh_type == SHT_PROGBITS && (section.sh_flags & SHF_EXECINSTR) != 0;
        if (!is_code || section.sh_size == 0 || !name)
            continue;
        names += (names.empty() ? "" : ", ") + std::string(*name);
    }
    return names.empty() ? "one with a function in it" : names;
}

class Reader {
  public:
    Reader(const Elf& elf, size_t index) : elf_(elf), index_(index) {}

    Expected<Code> read() {
        const auto bytes = elf_.content(elf_.sections()[index_]);
        if (!bytes || bytes->empty() || bytes->size() % sizeof(Instruction) != 0)
            return fail("the section holds no instructions", kCompileHint);
        const size_t count = bytes->size() / sizeof(Instruction);
        if (count > kMaxInstructions)
            return fail("the program has " + std::to_string(count) + " instructions",
                        "expected at most " + std::to_string(kMaxInstructions));
        code_.instructions.resize(count);
        std::memcpy(code_.instructions.data(), bytes->data(), bytes->size());
        for (const auto& section : elf_.sections()) {
            if ((section.sh_type != SHT_REL && section.sh_type != SHT_RELA) || section.sh_info != index_)
                continue;
            if (section.sh_type == SHT_RELA)
                return fail("the section has relocations of another kind than eBPF's", kCompileHint);
            if (auto done = read_references(section); !done)
                return std::unexpected(done.error());
        }
        std::ranges::sort(code_.references, {}, &Reference::at);
        const auto same = std::ranges::adjacent_find(code_.references, {}, &Reference::at);
        if (same != code_.references.end())
            return fail("an instruction refers to two symbols", kCompileHint);
        return std::move(code_);
    }

  private:
    Expected<void> read_references(const Elf64_Shdr& table) {
        Elf64_Rel relocation;
        for (size_t i = 0; elf_.record(table, i, relocation); ++i) {
            auto reference = reference_of(table, relocation);
            if (!reference)
                return std::unexpected(reference.error());
            if (code_.references.size() == kMaxInstructions)
                return fail("the section has more relocations than instructions", kCompileHint);
            code_.references.push_back(std::move(*reference));
        }
        return {};
    }

    Expected<Reference> reference_of(const Elf64_Shdr& table, const Elf64_Rel& relocation) const {
        const uint64_t at = relocation.r_offset / sizeof(Instruction);
        const uint32_t type = ELF64_R_TYPE(relocation.r_info);
        if (relocation.r_offset % sizeof(Instruction) != 0 || at >= code_.instructions.size())
            return fail("a relocation is outside the program", kCompileHint);
        const auto& instruction = code_.instructions[at];
        const bool is_call = type == kCallReference && instruction.code == (kJump | jump::call);
        const bool is_wide =
            type == kWideReference && instruction.code == kLoadWide && at + 1 < code_.instructions.size();
        if (!is_call && !is_wide)
            return fail("a relocation does not fit its instruction", kCompileHint);
        Elf64_Sym symbol;
        if (table.sh_link >= elf_.sections().size())
            return fail("the object has no table of symbols", kCompileHint);
        const auto& symbols = elf_.sections()[table.sh_link];
        if (!elf_.record(symbols, ELF64_R_SYM(relocation.r_info), symbol))
            return fail("a relocation names a symbol that is not there", kCompileHint);
        const auto name = elf_.text(symbols.sh_link, symbol.st_name);
        if (symbol.st_shndx != SHN_UNDEF) {
            const std::string what = name && !name->empty() ? " '" + std::string(*name) + "'" : "";
            return is_call ? fail("the program calls a function of its own" + what,
                                  "expected its functions to be static __always_inline")
                           : fail("the program has data of its own" + what,
                                  "expected no global variables, tables or strings; constants on the stack, "
                                  "and sets, counters and limits for what is to be kept");
        }
        if (!name || name->empty())
            return fail("a symbol has no name", kCompileHint);
        return Reference{static_cast<uint32_t>(at), is_call, std::string(*name)};
    }

    const Elf& elf_;
    size_t index_;
    Code code_;
};

}  // namespace

Expected<Code> read_object(std::span<const uint8_t> object, std::string_view section) {
    Elf elf(object);
    if (auto opened = elf.open(); !opened)
        return std::unexpected(opened.error());
    for (size_t i = 0; i < elf.sections().size(); ++i) {
        if (elf.sections()[i].sh_type == SHT_PROGBITS && elf.section_name(elf.sections()[i]) == section)
            return Reader(elf, i).read();
    }
    return fail("there is no section '" + std::string(section) + "' in the object",
                "expected " + code_sections(elf));
}

}  // namespace sluice::bpf
