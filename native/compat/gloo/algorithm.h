#pragma once

// libtorch ships ProcessGroupGloo.hpp, but not the headers of Gloo that it includes. Of Gloo's types it has pointers
// only, so that the layout of its classes is known without them: these declarations let the header compile, and any
// use of Gloo itself would fail to link.
