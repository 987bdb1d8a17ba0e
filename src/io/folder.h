/* What a folder holds, and making it last. */
#ifndef TESS_IO_FOLDER_H
#define TESS_IO_FOLDER_H

/* The name of a file that was made or renamed outlives a power cut only when its folder is on the disk too.
 * File systems that cannot flush a folder have nothing to flush. */
void tess_folder_flush(const char *path_of_file);

#endif
