#include "admin/config.hh"

#include <gtest/gtest.h>

#include "config/document.hh"

namespace sluice::admin {
namespace {

TEST(ControlConfig, defaults) {
    const auto control = config::read_text<ControlConfig>("x", "{}");
    ASSERT_TRUE(control);
    EXPECT_EQ(*control, ControlConfig{});
    EXPECT_EQ(control->socket_settings().path, "/run/sluice/sluice.sock");
    EXPECT_EQ(control->socket_settings().mode, 0660U);
    EXPECT_FALSE(control->metrics);
}

TEST(ControlConfig, everything) {
    const auto control = config::read_text<ControlConfig>(
        "x", "{socket: my.sock, socket_mode: \"0600\", socket_group: sluice, metrics: \"[::1]:9273\"}",
        "/srv");
    ASSERT_TRUE(control);
    EXPECT_EQ(control->socket_settings().path, "/srv/my.sock");
    EXPECT_EQ(control->socket_settings().mode, 0600U);
    EXPECT_EQ(control->socket_settings().group, "sluice");
    EXPECT_EQ(control->metrics->port, 9273);
}

TEST(ControlConfig, mistakes) {
    const auto control =
        config::read_text<ControlConfig>("x", "{sockt: my.sock, socket_mode: 999, metrics: \"localhost:1\"}");
    ASSERT_FALSE(control);
    EXPECT_EQ(control.error().size(), 3U);
}

}  // namespace
}  // namespace sluice::admin
