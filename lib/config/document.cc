#include "config/document.hh"

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <memory>
#include <system_error>

namespace sluice::config::detail {

bool read_text(const MappingBase& schema, std::string_view name, std::string_view text,
               std::string_view folder, void* object, Problems& problems) {
    std::error_code ignored;  // then the folder stays as it was given
    const auto absolute =
        std::filesystem::absolute(folder.empty() ? "." : std::filesystem::path(folder), ignored);
    const Source source{std::make_shared<const std::string>(name),
                        ignored ? std::string(folder) : absolute.lexically_normal().string()};
    const Node root = parse(name, text, problems);
    Context context(source, root, problems);
    return schema.read(context, object) && problems.empty();
}

bool read_file(const MappingBase& schema, const std::string& path, void* object, Problems& problems) {
    const Limits limits;
    const auto cannot = [&](const std::string& why) {
        problems.add(Problem{path, {}, {}, "cannot be read: " + why, "expected a readable file"});
        return false;
    };
    std::error_code error;
    if (std::filesystem::is_directory(path, error))
        return cannot("it is a directory");
    errno = 0;
    std::ifstream in(path, std::ios::binary);
    if (!in)
        return cannot(std::strerror(errno));
    std::string text;
    std::string part(size_t{1} << 16, '\0');
    while (in &&
           text.size() <= limits.bytes) {  // one part more than allowed is enough for the parser to refuse it
        in.read(part.data(), static_cast<std::streamsize>(part.size()));
        text.append(part, 0, static_cast<size_t>(in.gcount()));
    }
    if (in.bad())
        return cannot("reading failed");
    const auto folder = std::filesystem::path(path).parent_path().string();
    return read_text(schema, path, text, folder, object, problems);
}

}  // namespace sluice::config::detail
