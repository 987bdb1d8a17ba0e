/* The folder that files are written into: its disk's room, and making it last. */
#ifndef TESS_IO_FOLDER_H
#define TESS_IO_FOLDER_H

#include <stdint.h>

#include "base/error.h"

/* Whether the disk has so many bytes left for new ones in the folder of this file: TESS_EIO, with the
 * numbers.
 */
tess_status tess_folder_check_room(const char *path_of_file, uint64_t n_byte, tess_error *err);

/* Makes sure that no other process that asks for it writes into a folder, until *lock, a descriptor, is
 * closed. One that was just killed is waited for. TESS_EIO: another one does. */
tess_status tess_folder_lock(const char *dir, int *lock, tess_error *err);

/* The name of a file that was made or renamed outlives a power cut only when its folder is on the disk too.
 * File systems that cannot flush a folder have nothing to flush. */
void tess_folder_flush(const char *path_of_file);

#endif
