/** How a column is stored in Parquet. */
export type ColumnType =
  'text' | 'texts' | 'double' | 'float' | 'integer' | 'integers' | 'doubles' | 'long' | 'boolean';

export interface Column {
  readonly name: string;
  readonly type: ColumnType;
}
